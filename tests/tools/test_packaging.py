"""What setup.cfg, constraints.txt and the folders promise each other."""

from __future__ import annotations

import ast
import configparser
import fnmatch
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "render": {"render"},
    "dataset": {"dataset", "render"},
    "model": {"model", "dataset", "render"},
    "eval": {"eval", "render"},
    "tools": {"tools", "eval", "model", "dataset", "render"},
}


def _setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _project_name(requirement: str) -> str:
    """Return the normalised project name: "PyOpenGL>=3.1.0" gives "pyopengl"."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def _sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imported_modules(path: Path) -> set[str]:
    """Return the dotted names of all modules that the file imports, at any depth."""
    return _modules(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _modules(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the dotted names that nodes import."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_every_requirement_that_setup_installs_is_pinned_to_one_version() -> None:
    config = _setup_cfg()
    requirements = _lines(config["options"]["install_requires"])
    for extra in ("people", "dev"):
        requirements += _lines(config["options.extras_require"][extra])
    pins = {
        _project_name(line)
        for line in _lines((ROOT / "constraints.txt").read_text(encoding="utf-8"))
        if not line.startswith("#") and re.fullmatch(r"[\w.-]+==[\w.]+", line)
    }

    assert {_project_name(line) for line in requirements} <= pins
    assert "torchvision" not in pins


def test_every_console_script_names_a_function_that_exists() -> None:
    scripts = _lines(_setup_cfg()["options.entry_points"]["console_scripts"])

    for line in scripts:
        module, function = line.split("=")[1].strip().split(":")
        source = ROOT / (module.replace(".", "/") + ".py")
        assert source.is_file(), f"{line}: no {source.name}"
        tree = ast.parse(source.read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in defined, line


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_every_source_file_is_in_a_package_that_is_installed(package: str) -> None:
    include = _lines(_setup_cfg()["options.packages.find"]["include"])
    installed = set(find_packages(str(ROOT), include=include))

    assert not any(name.split(".")[0] == "tests" for name in installed)
    for path in _sources(package):
        assert ".".join(path.parent.relative_to(ROOT).parts) in installed, path


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_every_data_file_beside_the_sources_is_installed_with_them(package: str) -> None:
    patterns = [part.strip() for part in _setup_cfg()["options.package_data"]["*"].split(",")]
    for path in (ROOT / package).rglob("*"):
        if (
            not path.is_file()
            or path.suffix == ".py"
            or {"__pycache__", "setup"} & set(path.relative_to(ROOT).parts)
        ):
            continue
        home = next(folder for folder in path.parents if (folder / "__init__.py").is_file())
        name = path.relative_to(home).as_posix()
        assert any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns), path


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_between_our_packages_go_one_way(package: str) -> None:
    for path in _sources(package):
        ours = {name.split(".")[0] for name in _imported_modules(path)} & set(MAY_IMPORT)
        assert ours <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {sorted(ours)}"


def test_torch_stays_out_of_rendering_but_for_functions_whose_packages_are_made_of_it() -> None:
    for package in ("render", "dataset"):
        for path in _sources(package):
            modules = _modules_at_import(path) if _needs_torch(path) else _imported_modules(path)
            roots = {name.split(".")[0] for name in modules}
            assert not roots & {"torch", "lightning"}, path


def _needs_torch(path: Path) -> bool:
    """Return whether a file calls anny or smplx, which import torch themselves."""
    parts = path.relative_to(ROOT).parts
    return parts[:2] in (("dataset", "people"), ("dataset", "body_model.py"))


def _modules_at_import(path: Path) -> set[str]:
    """Return the names of the modules that are imported outside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    return _modules(node for node in ast.walk(tree) if id(node) not in inside)


def test_the_copyleft_part_of_libigl_stays_out_of_everything() -> None:
    for package in MAY_IMPORT:
        for path in _sources(package):
            modules = _imported_modules(path)
            assert not any(name.startswith("igl.copyleft") for name in modules), path
