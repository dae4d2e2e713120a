"""Runs the notebook over the sample lake, and keeps what it shows: `analysis/execute`."""

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

import sample_lake

NOTEBOOK = Path(__file__).parents[1] / "notebook" / "lake.ipynb"


def main() -> None:
    with tempfile.TemporaryDirectory() as lake:
        sample_lake.write(Path(lake))
        os.environ["MILLRACE__LAKE_SINK__URL"] = lake
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
        NotebookClient(notebook, timeout=120, record_timing=False, resources=resources).execute()
    # Which Python it was is no part of it.
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
