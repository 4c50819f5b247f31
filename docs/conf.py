"""The site that `make docs` makes of docs/ and of the README of every room.

The source folder is the root of the repository, so that a link between two pages reads the same
here, on the site and wherever Markdown is shown.
"""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))
# notebooks run the commands of this environment
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["PYTHONPATH"] = str(HERE / "_ext")  # they draw waves with what is there
startup = HERE.parent / "build" / "ipython" / "profile_default" / "startup"
startup.mkdir(parents=True, exist_ok=True)
shutil.copy(HERE / "_ext" / "bash_cell.py", startup)
os.environ["IPYTHONDIR"] = str(HERE.parent / "build" / "ipython")
os.environ["BASH_ENV"] = str(HERE / "_ext" / "notebook.sh")
os.environ["PYTHONWARNINGS"] = "ignore"  # of libraries, in the output of notebooks
os.environ["OMP_NUM_THREADS"] = "1"  # as many notebooks run at once as there are processes
os.environ["COLUMNS"] = "80"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # they start the same programs many times

project = "Exeunt"
copyright = "Exeunt's authors, BSD-3-Clause"
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/tutorials/*.md",
    "docs/reference/*.md",
    "docs/api/*.md",
    "boards/README.md",
    "hls/README.md",
    "hls/rtl/README.md",
    "quant/README.md",
    "zoo/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [".*", "build", "data", "**/__pycache__", "rtl_tests", "python"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "site_pages",
]

# pages
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
suppress_warnings = ["ref.python"]  # two classes are named Accelerator
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # names of other libraries have no page here
smartquotes = False  # a dash of an option and a quote of TOML stay as they are typed
default_role = "code"
pygments_style = "friendly"
pygments_dark_style = "github-dark"
highlight_language = "none"
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

# notebooks: executed anew, each in a folder of its own, and an error ends the build
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 900  # seconds of a cell, on a busy machine
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_ipywidgets_js = {}  # nothing is loaded from elsewhere

# API
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_use_ivar = True
add_module_names = False

# looks
html_theme = "furo"
html_title = "Exeunt"
html_static_path = ["_static"]
html_extra_path = ["_extra"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
