"""Variants of methods that experiments compare and no table needs: they load where a file or `--plugin` names them."""
