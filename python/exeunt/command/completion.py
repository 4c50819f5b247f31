"""What a shell may complete: configs and boards; from names of files, so that it is quick."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

PROGRAM = "exeunt"
VARIABLE = "_EXEUNT_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
# click's script for bash, but a word is whole where bash parts it at a colon (zoo:digits), a folder
# gets no space behind it, and where nothing fits, bash completes file names
_BASH = """\
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \\t\\n' before='' response type value
    local word="${line##*[[:space:]]}"
    local -a words
    read -ra words <<< "$line"
    local count=$(( ${#words[@]} - ( ${#word} > 0 ) ))
    [[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && before="${word%%"${word##*:}"}"
    response=$(env COMP_WORDS="$line" COMP_CWORD="$count" %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=',' read -r type value; do
        [[ $type == plain ]] && COMPREPLY+=("${value#"$before"}")
    done <<< "$response"
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
    return 0
}

complete -o nosort -o bashdefault -o default -F %(complete_func)s %(prog_name)s
"""


def script(shell: str) -> str:
    """What a shell, one of SHELLS, reads so that it completes `exeunt`."""
    known = get_completion_class(shell)
    assert known is not None, "one of SHELLS"
    return (_BASH if shell == "bash" else known.source_template) % {
        "complete_func": f"_{PROGRAM}_completion",
        "complete_var": VARIABLE,
        "prog_name": PROGRAM,
    }


def configs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shipped configs, trained networks as zoo:NAME, and TOML files."""
    del ctx, param
    names = [path.stem for path in _files("exeunt.config.shipped", "*.toml")]
    names += [f"zoo:{path.stem}" for path in _files("exeunt.zoo", "*.toml")]
    return _starting(names, incomplete) + _paths(incomplete, ".toml")


def boards(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shipped boards, and folders, which may hold a board of your own."""
    del ctx, param
    names = [path.parent.name for path in _files("exeunt.boards", "*/board.toml")]
    return _starting(names, incomplete) + _paths(incomplete)


def _files(package: str, pattern: str) -> list[Path]:
    """Files of a package of ours, which is looked for and not imported."""
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    return sorted(path for folder in folders for path in Path(folder).glob(pattern))


def _starting(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _paths(incomplete: str, ending: str | None = None) -> list[CompletionItem]:
    """Folders, with a slash so that the shell goes on from there, and files with that ending."""
    before, slash, begin = incomplete.rpartition("/")
    folder = Path(f"{before}{slash}" or ".").expanduser()
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return []
    found = []
    for path in inside:
        if not path.name.startswith(begin) or (path.name.startswith(".") and not begin):
            continue
        if path.is_dir():
            found.append(f"{before}{slash}{path.name}/")
        elif ending is not None and path.name.endswith(ending):
            found.append(f"{before}{slash}{path.name}")
    return [CompletionItem(text) for text in found]
