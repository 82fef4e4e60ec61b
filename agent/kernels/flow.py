"""Sparse Lucas-Kanade flow between two face crops, with the information of each vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]

X, Y, GXX, GXY, GYY, RESIDUAL, BACKWARD_ERROR = range(7)
"""Columns of the flow that `lucas_kanade` returns."""
# Duplicated in `kernels.fusion` (see the package docstring); a test compares them.

_SIDE = 8
"""Side of a patch, pixels: one row is one vector."""
_AREA = _SIDE * _SIDE
_TOGETHER = 16
"""Points that are followed step by step side by side: the steps of one wait for each other, those
of several do not. Their patches fit the first cache."""
_MOVING, _THERE, _GONE = range(3)

# What is done to a whole patch is written in LLVM's own vectors, with every row in registers: this
# is the hot spot, and LLVM unrolls loops of eight before it would vectorise them.


def _bilinear(greys: Grey, at: int, width: int, fx: float, fy: float, side: int) -> Float:
    """float32[side, side], interpolated from pixel `at` of the flat image on."""
    rows = np.arange(side + 1)[:, None] * width + np.arange(side + 1)
    pixels = greys[at + rows].astype(np.float32)
    across = pixels[:, :-1] + np.float32(fx) * (pixels[:, 1:] - pixels[:, :-1])
    return np.asarray(across[:-1] + np.float32(fy) * (across[1:] - across[:-1]), np.float32)


def _template_plain(
    greys: Grey, at: int, width: int, fx: float, fy: float, kept: Float
) -> tuple[np.float32, ...]:
    """`_template` without compilation (NUMBA_DISABLE_JIT)."""
    wide = _bilinear(greys, at, width, fx, fy, _SIDE + 2)
    grey = wide[1:-1, 1:-1]
    gx = (wide[1:-1, 2:] - wide[1:-1, :-2]) * np.float32(0.5)
    gy = (wide[2:, 1:-1] - wide[:-2, 1:-1]) * np.float32(0.5)
    gx, gy = gx - gx.mean(), gy - gy.mean()
    kept[:] = np.stack([grey, gx, gy]).ravel()
    products = (gx * gx, gx * gy, gy * gy, gx * grey, gy * grey)
    return tuple(product.sum() for product in products)


def _project_plain(
    greys: Grey, at: int, width: int, fx: float, fy: float, kept: Float
) -> tuple[np.float32, ...]:
    """`_project` without compilation."""
    grey = _bilinear(greys, at, width, fx, fy, _SIDE).ravel()
    return (kept[_AREA : 2 * _AREA] * grey).sum(), (kept[2 * _AREA :] * grey).sum()


def _compare_plain(
    greys: Grey, at: int, width: int, fx: float, fy: float, kept: Float
) -> tuple[np.float32, ...]:
    """`_compare` without compilation."""
    wide = _bilinear(greys, at, width, fx, fy, _SIDE + 2)
    gx = (wide[1:-1, 2:] - wide[1:-1, :-2]) * np.float32(0.5)
    gy = (wide[2:, 1:-1] - wide[:-2, 1:-1]) * np.float32(0.5)
    change = wide[1:-1, 1:-1] - kept[:_AREA].reshape(_SIDE, _SIDE)
    products = (gx, gy, gx * gx, gx * gy, gy * gy, gx * change, gy * change, change, change**2)
    return tuple(product.sum() for product in products)


class _Patch:
    """Emits the vector code of one patch at fractional coordinates."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self._builder = builder
        self._floats = ir.VectorType(ir.FloatType(), _SIDE)
        self._greys = context.make_array(signature.args[0])(context, builder, args[0]).data
        self._kept = context.make_array(signature.args[5])(context, builder, args[5]).data
        self._at, self._width = args[1], args[2]
        self._fx, self._fy = self._spread(args[3]), self._spread(args[4])
        self.zero = ir.Constant(self._floats, [0.0] * _SIDE)

    def _spread(self, value: Any) -> Any:
        """A number in every lane."""
        empty = ir.Constant(self._floats, ir.Undefined)
        first = self._builder.insert_element(empty, value, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), _SIDE), [0] * _SIDE)
        return self._builder.shuffle_vector(first, empty, lanes)

    def add(self, a: Any, b: Any) -> Any:
        return self._builder.fadd(a, b, flags=("fast",))

    def sub(self, a: Any, b: Any) -> Any:
        return self._builder.fsub(a, b, flags=("fast",))

    def mul(self, a: Any, b: Any) -> Any:
        return self._builder.fmul(a, b, flags=("fast",))

    def halved(self, a: Any, b: Any) -> Any:
        """(a - b) / 2"""
        return self.mul(self.sub(a, b), ir.Constant(self._floats, [0.5] * _SIDE))

    def between(self, a: Any, b: Any, share: Any) -> Any:
        return self.add(a, self.mul(share, self.sub(b, a)))

    def columns(self, row: int, first: int, count: int) -> list[Any]:
        """`count` vectors of source row `row`, interpolated in x, from columns `first`,
        `first` + 1 and so on."""
        builder = self._builder
        octet = ir.VectorType(ir.IntType(8), _SIDE)
        start = builder.add(self._at, builder.mul(self._width, self._width.type(row)))
        pixels = []
        for k in range(first, first + count + 1):
            place = builder.gep(self._greys, [builder.add(start, start.type(k))])
            whole = builder.load(builder.bitcast(place, octet.as_pointer()), align=1)
            pixels.append(builder.uitofp(whole, self._floats))
        return [self.between(pixels[k], pixels[k + 1], self._fx) for k in range(count)]

    def down(self, upper: list[Any], lower: list[Any]) -> list[Any]:
        """Interpolated in y as well."""
        return [self.between(a, b, self._fy) for a, b in zip(upper, lower, strict=True)]

    def gradients(self) -> list[tuple[Any, Any, Any]]:
        """Grey level and both central differences of each row; pixel `at` is the corner of a
        border of one pixel."""
        across = [self.columns(row, 0, 3) for row in range(1, _SIDE + 2)]
        inner = [self.down(across[k], across[k + 1]) for k in range(_SIDE)]
        top, bottom = self.columns(0, 1, 1), self.columns(_SIDE + 2, 1, 1)
        middle = [
            *self.down(top, [across[0][1]]),
            *(row[1] for row in inner),
            *self.down([across[_SIDE][1]], bottom),
        ]
        return [
            (row[1], self.halved(row[2], row[0]), self.halved(middle[k + 2], middle[k]))
            for k, row in enumerate(inner)
        ]

    def _place(self, number: int) -> Any:
        at = self._builder.gep(self._kept, [ir.IntType(64)(number * _SIDE)])
        return self._builder.bitcast(at, self._floats.as_pointer())

    def load(self, number: int) -> Any:
        """Vector `number` of `kept`."""
        return self._builder.load(self._place(number), align=4)

    def store(self, number: int, vector: Any) -> None:
        self._builder.store(vector, self._place(number), align=4)

    def sum(self, vector: Any) -> Any:
        """Over the lanes."""
        name = f"llvm.vector.reduce.fadd.v{_SIDE}f32"
        single, module = ir.FloatType(), self._builder.module
        function = module.globals.get(name) or ir.Function(
            module, ir.FunctionType(single, [single, self._floats]), name
        )
        return self._builder.call(function, [single(0.0), vector], fastmath=("fast",))

    def average(self, vector: Any) -> Any:
        """Of a sum's lanes over the patch, in every lane."""
        share = ir.Constant(self._floats, [1.0 / _AREA] * _SIDE)
        return self.mul(self._spread(self.sum(vector)), share)


def _emit_template(patch: _Patch) -> list[Any]:
    rows = patch.gradients()
    sums = [patch.zero] * 2
    for _, gx, gy in rows:
        sums = [patch.add(sums[0], gx), patch.add(sums[1], gy)]
    mean_x, mean_y = (patch.average(each) for each in sums)
    products = [patch.zero] * 5
    for k, (grey, x, y) in enumerate(rows):
        gx, gy = patch.sub(x, mean_x), patch.sub(y, mean_y)
        for number, vector in enumerate((grey, gx, gy)):
            patch.store(number * _SIDE + k, vector)
        pairs = ((gx, gx), (gx, gy), (gy, gy), (gx, grey), (gy, grey))
        products = [
            patch.add(old, patch.mul(a, b)) for old, (a, b) in zip(products, pairs, strict=True)
        ]
    return products


def _emit_project(patch: _Patch) -> list[Any]:
    across = [patch.columns(row, 0, 1) for row in range(_SIDE + 1)]
    sums = [patch.zero] * 2
    for k in range(_SIDE):
        (grey,) = patch.down(across[k], across[k + 1])
        sums = [
            patch.add(old, patch.mul(patch.load((1 + axis) * _SIDE + k), grey))
            for axis, old in enumerate(sums)
        ]
    return sums


def _emit_compare(patch: _Patch) -> list[Any]:
    products = [patch.zero] * 9
    for k, (grey, gx, gy) in enumerate(patch.gradients()):
        change = patch.sub(grey, patch.load(k))
        terms = [gx, gy]
        pairs = ((gx, gx), (gx, gy), (gy, gy), (gx, change), (gy, change))
        terms += [patch.mul(a, b) for a, b in pairs]
        terms += [change, patch.mul(change, change)]
        products = [patch.add(old, term) for old, term in zip(products, terms, strict=True)]
    return products


def _patch_intrinsic(emit: Callable[[_Patch], list[Any]], count: int) -> Callable[..., Any]:
    """A function of (image, flat index, width, share in x, share in y, kept) that `emit` writes,
    giving `count` sums over the patch."""

    def typed(typing: Any, greys: Any, at: Any, width: Any, fx: Any, fy: Any, kept: Any) -> Any:
        result = types.UniTuple(types.float32, count)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            patch = _Patch(context, builder, signature, args)
            return context.make_tuple(builder, result, [patch.sum(v) for v in emit(patch)])

        return result(greys, types.int64, types.int64, types.float32, types.float32, kept), generate

    return intrinsic(typed)


if config.DISABLE_JIT:
    _template, _project, _compare = _template_plain, _project_plain, _compare_plain
else:
    _template = _patch_intrinsic(_emit_template, 5)
    _project = _patch_intrinsic(_emit_project, 2)
    _compare = _patch_intrinsic(_emit_compare, 9)


@kernel(fastmath=True, error_model="numpy")
def lucas_kanade(
    before: Grey, after: Grey, start: Float, guess: Float, ridge: float, iterations: int
) -> Float:  # pragma: no cover
    """Sparse flow of points from one crop to the next.

    Parameters
    ----------
    before, after : uint8[S, S]
        Face crops of two successive frames, C-contiguous.
    start : float32[N, 2]
        Points in `before`, crop pixels.
    guess : float32[N, 2]
        Predicted positions in `after` for rigid head motion, crop pixels.
    ridge : float
        Regularisation towards the guess, squared grey levels per pixel; dominates along edges and
        without texture.
    iterations : int
        At most; stops at steps below 0.01 pixel.

    Returns
    -------
    float32[N, 7]
        X, Y: position in `after`, crop pixels. GXX, GXY, GYY: structure tensor, summed over the
        patch. RESIDUAL: mean squared residual, squared grey levels. BACKWARD_ERROR: distance of
        backward flow from the start, crop pixels. Where a patch leaves the crop: the guess, zeros
        and -1.

    Notes
    -----
    O(64 N) per iteration, four allocations. Lucas & Kanade 1981 in inverse compositional form
    (Baker & Matthews, IJCV 56, 2004), translation only, invariant to brightness offsets; ours adds
    the ridge. Backward flow (Kalal, Mikolajczyk & Matas, ICPR 2010) is a single step from the
    start, which suffices where both directions agree.
    Twin: tests/kernels/naive_flow.py.
    """
    size_y, size_x = before.shape
    one = np.float32(1.0)
    pull = np.float32(ridge) * np.float32(_AREA)
    per_pixel = one / np.float32(_AREA)
    wide = _SIDE + 2
    old = before.reshape(-1)
    new = after.reshape(-1)
    n = start.shape[0]
    out = np.empty((n, 7), np.float32)
    kept = np.empty((_TOGETHER, 3 * _AREA), np.float32)
    aims = np.empty((_TOGETHER, 3), np.float32)
    states = np.empty(_TOGETHER, np.int64)
    for base in range(0, n, _TOGETHER):
        count = min(_TOGETHER, n - base)
        for k in range(count):
            i = base + k
            out[i, X] = guess[i, 0]
            out[i, Y] = guess[i, 1]
            out[i, GXX] = 0
            out[i, GXY] = 0
            out[i, GYY] = 0
            out[i, RESIDUAL] = 0
            out[i, BACKWARD_ERROR] = -one
            floor_x = np.floor(start[i, 0])
            floor_y = np.floor(start[i, 1])
            x0 = int(floor_x) - _SIDE // 2 - 1
            y0 = int(floor_y) - _SIDE // 2 - 1
            states[k] = _GONE
            if x0 < 0 or y0 < 0 or x0 + wide >= size_x or y0 + wide >= size_y:
                continue
            # zero-mean gradients cancel the patch means in every product
            hxx, hxy, hyy, target_x, target_y = _template(
                old, y0 * size_x + x0, size_x, start[i, 0] - floor_x, start[i, 1] - floor_y, kept[k]
            )
            out[i, GXX] = hxx
            out[i, GXY] = hxy
            out[i, GYY] = hyy
            aims[k, 0] = target_x
            aims[k, 1] = target_y
            aims[k, 2] = one / ((hxx + pull) * (hyy + pull) - hxy * hxy)
            states[k] = _MOVING if iterations > 0 else _GONE
        for _ in range(iterations):
            moving = 0
            for k in range(count):
                if states[k] != _MOVING:
                    continue
                i = base + k
                qx = out[i, X]
                qy = out[i, Y]
                floor_x = np.floor(qx)
                floor_y = np.floor(qy)
                x0 = int(floor_x) - _SIDE // 2
                y0 = int(floor_y) - _SIDE // 2
                if x0 < 0 or y0 < 0 or x0 + _SIDE >= size_x or y0 + _SIDE >= size_y:
                    states[k] = _GONE
                    continue
                there_x, there_y = _project(
                    new, y0 * size_x + x0, size_x, qx - floor_x, qy - floor_y, kept[k]
                )
                ex = aims[k, 0] + pull * (guess[i, 0] - qx) - there_x
                ey = aims[k, 1] + pull * (guess[i, 1] - qy) - there_y
                dx = ((out[i, GYY] + pull) * ex - out[i, GXY] * ey) * aims[k, 2]
                dy = ((out[i, GXX] + pull) * ey - out[i, GXY] * ex) * aims[k, 2]
                out[i, X] = qx + dx
                out[i, Y] = qy + dy
                if dx * dx + dy * dy < np.float32(1e-4):
                    states[k] = _THERE
                else:
                    moving += 1
            if not moving:
                break
        for k in range(count):
            i = base + k
            qx = out[i, X]
            qy = out[i, Y]
            floor_x = np.floor(qx)
            floor_y = np.floor(qy)
            x0 = int(floor_x) - _SIDE // 2 - 1
            y0 = int(floor_y) - _SIDE // 2 - 1
            within = x0 >= 0 and y0 >= 0 and x0 + wide < size_x and y0 + wide < size_y
            if states[k] == _GONE or not within:
                out[i, X] = guess[i, 0]
                out[i, Y] = guess[i, 1]
                out[i, GXX] = 0
                out[i, GXY] = 0
                out[i, GYY] = 0
                continue
            # backward flow, with gradients at the end of the forward flow
            mean_gx, mean_gy, hxx, hxy, hyy, ex, ey, change, squared = _compare(
                new, y0 * size_x + x0, size_x, qx - floor_x, qy - floor_y, kept[k]
            )
            change *= per_pixel
            ex -= mean_gx * change
            ey -= mean_gy * change
            hxx += pull - mean_gx * mean_gx * per_pixel
            hxy -= mean_gx * mean_gy * per_pixel
            hyy += pull - mean_gy * mean_gy * per_pixel
            inverse_det = one / (hxx * hyy - hxy * hxy)
            dx = (hyy * ex - hxy * ey) * inverse_det
            dy = (hxx * ey - hxy * ex) * inverse_det
            out[i, RESIDUAL] = max(squared * per_pixel - change * change, np.float32(0))
            out[i, BACKWARD_ERROR] = np.sqrt(dx * dx + dy * dy)
    return out
