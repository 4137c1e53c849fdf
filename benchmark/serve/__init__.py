"""Case search as a page and an API on one machine: ``python -m benchmark serve``.

command.py  what the command checks and starts      desk.py     what a request does
app.py      the routes                              uploads.py  a picture from a stranger's bytes
guard.py    who is answered, and how much is read   slots.py    how many are worked on at once
bodies.py   what is asked and answered              page/       the page: no build step, nothing from elsewhere
"""
