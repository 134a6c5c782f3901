"""Parts of kernels: code that only other kernels call becomes machine code within them, and not before.

Numba does both with each function by itself, and with all of it again in each caller, up to the kernel that Python
calls: of the simulation a sixth of the time that its compiler takes. Here a function is only written down, and linked
into its callers. That goes through names that numba does not promise: where they are lacking, all works as without this
file, slower.
"""

SETTINGS = {}  # of `numba.njit`, for such functions

try:
    from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary
    from numba.core.compiler import Compiler

    CPUCodeLibrary._optimize_final_module, CPUCodeLibrary._finalize_final_module  # noqa: B018
    CPUCodeLibrary._finalize_dynamic_globals, JITCodeLibrary.get_pointer_to_function  # noqa: B018

    class Addressless:
        """A code generator for which functions have no address."""

        def __init__(self, codegen):
            self._codegen = codegen

        def set_env(self, name, environment):
            """Nothing: what falls back to Python, which ours never does, is told by each caller."""

        def __getattr__(self, name):
            return getattr(self._codegen, name)

    class Part(JITCodeLibrary):
        """Code of one function, to be linked into others."""

        @property
        def codegen(self):
            """The code generator, as whoever makes the function known sees it."""
            return Addressless(self._codegen)

        def get_pointer_to_function(self, name):
            """None has an address."""
            self._ensure_finalized()
            return 0

        def _optimize_final_module(self):
            """It is done in each caller."""

        def _finalize_final_module(self):
            self._finalize_dynamic_globals()
            self._finalized = True

    class PartCompiler(Compiler):
        """Numba's compiler of a function that becomes a `Part`."""

        def compile_extra(self, func):
            """Compile a function of Python."""
            self.state.library = Part(self.state.targetctx.codegen(), func.__qualname__)
            return super().compile_extra(func)

    SETTINGS["pipeline_class"] = PartCompiler
except (ImportError, AttributeError):
    pass
