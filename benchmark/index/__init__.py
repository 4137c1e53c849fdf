"""Case search for people: candidates of one trained method in a store of vectors, and what is found in it.

A method can be indexed where its scorer is an inner product (``Scorer.as_vectors``). All of a score's weights stand on
the query's side, so that cases are indexed once and weights may change with every query.

    records.py   what an index is written down as          folder.py    its folder: one writer, atomic commits
    stores.py    the interface of a store of vectors       model.py     pictures and words -> vectors
    faiss_store.py, milvus_store.py  the two stores        trained.py   stored weights of a run
    build.py     index, add, delete                        searcher.py  what is found, and why
    descriptors.py  what a text was understood as          commands.py  the command lines
"""
