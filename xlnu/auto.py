"""`AutoConfig` and `AutoModel` of transformers know our stack after `import xlnu`, which imports no transformers.

They are told when transformers comes to the modules in which they stand, before or after us.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

CONFIGS, MODELS = "transformers.models.auto.configuration_auto", "transformers.models.auto.modeling_auto"


def watch() -> None:
    for name in (CONFIGS, MODELS):
        if name in sys.modules:
            _tell(sys.modules[name])
    sys.meta_path.insert(0, _Watch())


class _Watch(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in (CONFIGS, MODELS):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec and spec.loader:
            spec.loader = _Then(spec.loader)
        return spec


class _Then(Loader):
    """Loads a module as its own loader does, and then tells it."""

    def __init__(self, own: Loader) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.own.exec_module(module)
        _tell(module)


def _tell(module: ModuleType) -> None:
    from xlnu.stack.config import MODEL_TYPE, StackConfig

    if module.__name__ == CONFIGS:
        module.AutoConfig.register(MODEL_TYPE, StackConfig, exist_ok=True)
        return
    from xlnu.stack.model import StackModel

    module.AutoModel.register(StackConfig, StackModel, exist_ok=True)
