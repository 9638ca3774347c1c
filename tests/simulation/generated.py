"""Reading the programs that Brian2 generates."""

from pathlib import Path


def code_object(directory: Path, name: str) -> str:
    """Return the source of the one code object of that name, such as ``neurons_stateupdater``.

    Brian2 numbers an object, its code object or both (``neurons_stateupdater_1_codeobject_2``) as long as earlier ones
    of the name are not yet collected, so the file's name depends on what the process did before.
    """
    files = [
        path for path in (directory / "code_objects").glob(f"{name}*_codeobject*") if path.suffix in (".cpp", ".cu")
    ]
    (written,) = files
    return written.read_text()
