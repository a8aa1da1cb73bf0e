"""Says what Python's own parser finds in every file below the given folder.

Prints one JSON object a line: path, parses, and imports, a list of top-level
name, line, and `hard` or `soft` where that is plain to see. Folders named in
further arguments are left out.
"""

import ast
import json
import os
import sys
import warnings

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What stands directly in these happens whenever the file is imported.
PLAIN = (ast.Module, ast.ClassDef)


def imports(tree):
    """All absolute imports, wherever they stand."""
    found = []
    todo = [(tree, "hard")]
    while todo:
        node, need = todo.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], node.lineno, need) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.module.split(".")[0], node.lineno, need))
        elif isinstance(node, FUNCTIONS):
            need = "soft"
        elif not isinstance(node, PLAIN) and need == "hard":
            need = None
        todo += [(child, need) for child in ast.iter_child_nodes(node)]
    return found


def read(path):
    with open(path, "rb") as file:
        source = file.read()
    try:
        tree = ast.parse(source)
    # What is nested too deeply ends in either of the last two.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"parses": False, "imports": []}
    return {"parses": True, "imports": imports(tree)}


def main(root, *left_out):
    warnings.simplefilter("ignore")
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in left_out]
        for name in files:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                facts = {"path": os.path.relpath(path, root), **read(path)}
                print(json.dumps(facts))


main(*sys.argv[1:])
