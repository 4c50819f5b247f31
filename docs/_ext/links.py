"""Reads a written site whole: links lead somewhere, and nothing is loaded from the web."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"img", "script", "iframe", "source", "video", "audio", "embed"}


@dataclass
class Page(HTMLParser):
    """What a page of HTML names: its anchors, its links, and what a browser loads for it."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """A parser that keeps no text."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this tag names."""
        given = {key: value for key, value in attrs if value}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(given.get("href", ""))
        elif tag in LOADS and "src" in given:
            self.loaded.append(given["src"])


def read(text: str) -> Page:
    """The page in `text`."""
    page = Page()
    page.feed(text)
    return page


def faults(site: Path) -> list[str]:
    """A sentence for each link of the pages below `site` that leads nowhere, sorted."""
    pages = {path.resolve(): read(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                if link in page.loaded:
                    found.append(f"{name}: a page must load nothing from elsewhere, got {link}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{name}: a link must lead to a file of the site, got {link}")
            elif parts.fragment and target in pages:
                anchor = unquote(parts.fragment)
                if anchor not in pages[target].anchors:
                    found.append(f"{name}: a link must lead to an anchor, got {link}")
    return sorted(found)
