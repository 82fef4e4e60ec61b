"""Refined landmark labels: three teachers' votes in the convention of hand-made points.

The packs' inner points come from FaceMesh v2, whose vertices lie beside what people mark (iBUG
300-W; Sagonas et al. 2013), mostly on brows and nose, and their jaw from PFLD-GhostOne. Two more
votes (`teachers`) put three things right, in a frame that is aligned to the face:

- habits: where a teacher's points lie beside those of the trees, which were fitted to hand-made
  points, on average at a pose and an opening of the mouth; taken out before votes are compared
- chance errors: what is left is averaged by precision, each point's from how far the three differ
  two by two (the three-cornered hat; Gray & Allan 1974), and a vote far from the others counts less
- trust: points, and faces, where the votes differ weigh less in training

The labels then go part of the way from FaceMesh's convention to the hand-made one, as the trees
have it at a pose and, to equal parts, as the published mean of hand-made points has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.vision.faces.align import FLIP
from tools.common.packs import load
from tools.train.landmarks.teachers import second_teacher, third_teacher

# Mean of hand-made points 17-67 as dlib's face alignment publishes it (made on iBUG 300-W):
# x, then y, picture axes, arbitrary unit.
HAND_MADE_X = (
    *(0.000213256, 0.0752622, 0.18113, 0.29077, 0.393397),
    *(0.586856, 0.689483, 0.799124, 0.904991, 0.98004),
    *(0.490127, 0.490127, 0.490127, 0.490127, 0.36688, 0.426036, 0.490127, 0.554217, 0.613373),
    *(0.121737, 0.187122, 0.265825, 0.334606, 0.260918, 0.182743),
    *(0.645647, 0.714428, 0.793132, 0.858516, 0.79751, 0.719335),
    *(0.254149, 0.340985, 0.428858, 0.490127, 0.551395, 0.639268),
    *(0.726104, 0.642159, 0.556721, 0.490127, 0.423532, 0.338094),
    *(0.290379, 0.428096, 0.490127, 0.552157, 0.689874, 0.553364, 0.490127, 0.42689),
)
HAND_MADE_Y = (
    *(0.106454, 0.038915, 0.0187482, 0.0344891, 0.0773906),
    *(0.0773906, 0.0344891, 0.0187482, 0.038915, 0.106454),
    *(0.203352, 0.307009, 0.409805, 0.515625, 0.587326, 0.609345, 0.628106, 0.609345, 0.587326),
    *(0.216423, 0.178758, 0.179852, 0.231733, 0.245099, 0.244077),
    *(0.231733, 0.179852, 0.178758, 0.216423, 0.244077, 0.245099),
    *(0.780233, 0.745405, 0.727388, 0.742578, 0.727388, 0.745405),
    *(0.780233, 0.864805, 0.902192, 0.909281, 0.902192, 0.864805),
    *(0.784792, 0.778746, 0.785343, 0.778746, 0.784792, 0.824182, 0.831803, 0.824182),
)


JAW = slice(0, 17)
BROW_ARCHES = [18, 19, 20, 23, 24, 25]
TO_CONVENTION = np.full((68, 1), 0.8)
"""How far to go to the hand-made convention. Ends of brows, corners, wings of the nose and lips can
be pointed at; where along the brow's arch its points lie, annotators do not agree."""
TO_CONVENTION[BROW_ARCHES] = 0.5
JAW_SHARES = 0.3, 0.3, 0.4
"""Of the votes on the jaw: the first two are GhostOne's, on colour and on grey."""
LEAST_SHARE = 0.15
"""Of any vote on an inner point."""
FAR = 0.06
"""IOD from the others at which a vote counts a quarter."""
DOUBT = 0.04
"""IOD, disagreement of the votes at which a point weighs half."""
FRONTAL = 12.0
"""Degrees of yaw within which a shape shows its proportions."""
DROPPED = 0.10
"""IOD, mean disagreement beyond which a face is left out."""

Array = NDArray[np.float64]


class Labels(NamedTuple):
    """Of all faces of the pack."""

    points: Float
    """float32[N, 68, 2], picture pixels."""
    trust: Float
    """float32[N, 68] in [0, 1]; 0 for faces to be left out."""


def refined() -> Labels:
    """Labels of the packs' faces. Raises `SystemExit` where a teacher is missing."""
    labels = load("faces_labels.npz")
    votes = [
        each.astype(np.float64) for each in (labels["lm68"], second_teacher(), third_teacher())
    ]
    pose = labels["pose_yaw_pitch_roll"][:, :2].astype(np.float64)
    return blend(votes, labels["split"] == 0, pose)


def blend(votes: Sequence[Array], train: NDArray[np.bool_], pose: Array) -> Labels:
    """Labels from three teachers' points float64[N, 68, 2], picture pixels.

    Parameters
    ----------
    votes
        FaceMesh (jaw: GhostOne), GhostOne, the trees.
    train
        bool[N]: the faces that habits and precisions are taken from.
    pose
        float64[N, 2]: yaw and pitch, degrees.
    """
    goal = hand_made() @ [1, 1j]
    goal = goal - goal.mean()
    inner = votes[0][:, 17:] @ [1, 1j]
    middle = inner.mean(1, keepdims=True)
    # face to frame: least-squares turn and scale (Umeyama 1991 in its complex form)
    turn = ((inner - middle).conj() @ goal) / (np.abs(inner - middle) ** 2).sum(1)
    turn = turn[:, None]
    known = features(votes[0], pose)
    away = [_pairs(turn * ((vote - votes[2]) @ [1, 1j])) for vote in votes[:2]]
    habits = [habit(each[train], known[train], known) for each in away]
    apart = np.stack([*(a - h for a, h in zip(away, habits, strict=True)), np.zeros_like(away[0])])
    share = shares(apart[:, train])
    middle_vote, disagreement = consensus(apart, share)
    # what the published mean adds to the trees' reading of the convention
    front = train & (np.abs(pose[:, 0]) < FRONTAL)
    mean = np.median(_pairs(turn * (inner - middle))[front], 0)
    lean = np.zeros((68, 2))
    lean[17:] = (convention(mean, hand_made()) + np.median(habits[0][front], 0)[17:]) / 2
    lean = (lean + (lean * [-1, 1])[FLIP]) / 2
    step = middle_vote + (1 - TO_CONVENTION) * habits[0] + TO_CONVENTION * lean
    points = votes[2] + _pairs((step @ [1, 1j]) / turn)
    trust = 1 / (1 + (disagreement / DOUBT) ** 2)
    trust[disagreement[:, 17:].mean(1) > DROPPED] = 0.0
    return Labels(points.astype(np.float32), trust.astype(np.float32))


def convention(mean: Array, target: Array) -> Array:
    """From a mean shape to the hand-made one, both float64[51, 2], after scaling each axis."""
    away = np.empty_like(mean)
    for axis in (0, 1):
        system = np.stack([mean[:, axis], np.ones(len(mean))], 1)
        fit = np.linalg.lstsq(system, target[:, axis], rcond=None)[0]
        away[:, axis] = target[:, axis] - system @ fit
    return away


def features(points: Array, pose: Array) -> Array:
    """What habits depend on, float64[N, 5]: one, yaw to either side and away from the front, pitch
    (all in 30 degrees), and how far the mouth is open (IOD)."""
    iod = np.linalg.norm(points[:, 45] - points[:, 36], axis=-1)
    gape = np.linalg.norm(points[:, 66] - points[:, 62], axis=-1) / iod
    yaw, pitch = np.clip(pose / 30.0, -2, 2).T
    return np.stack([np.ones_like(yaw), yaw, np.abs(yaw), pitch, gape], 1)


def habit(away: Array, known: Array, wanted: Array, rounds: int = 5) -> Array:
    """Mean offsets as a linear function of `features`, the same for a face and its mirror image.

    Parameters
    ----------
    away, known
        Offsets float64[M, 68, 2] and features float64[M, 5] to learn from.
    wanted
        float64[N, 5]: features to answer for.

    Returns
    -------
    float64[N, 68, 2]
    """
    both = np.concatenate([away, (away * [-1, 1])[:, FLIP]])
    system = np.concatenate([known, known * [1, -1, 1, 1, 1]])
    weight = np.ones(both.shape[:2])
    for _ in range(rounds):
        normal = np.einsum("nj,na,nb->jab", weight, system, system, optimize=True)
        right = np.einsum("nj,na,njc->jac", weight, system, both, optimize=True)
        slopes = np.linalg.solve(normal + 1e-6 * np.eye(system.shape[1]), right)
        rest = both - np.einsum("na,jac->njc", system, slopes, optimize=True)
        weight = 1 / (1 + (rest**2).sum(2) / 0.03**2)  # Cauchy: failures count little
    return np.asarray(np.einsum("na,jac->njc", wanted, slopes, optimize=True))


def shares(apart: Array) -> Array:
    """Share of every vote on every point, float64[3, 68], from votes float64[3, M, 68, 2]."""

    def variance(a: int, b: int) -> Array:
        """Robust: of a two-dimensional normal, from the median squared distance."""
        return np.asarray(np.median(((apart[a] - apart[b]) ** 2).sum(-1), 0) / np.log(4))

    pairs = variance(0, 1), variance(0, 2), variance(1, 2)
    own = np.stack(
        [
            pairs[0] + pairs[1] - pairs[2],
            pairs[0] + pairs[2] - pairs[1],
            pairs[1] + pairs[2] - pairs[0],
        ]
    )
    own = np.maximum(own, 0.1 * own.mean(0))
    share = (1 / own) / (1 / own).sum(0)
    share = np.maximum(share, LEAST_SHARE)
    share /= share.sum(0)
    # both halves of a face are judged alike
    share = (share + share[:, FLIP]) / 2
    share[:, JAW] = np.array(JAW_SHARES)[:, None]
    return share


def consensus(apart: Array, share: Array, rounds: int = 3) -> tuple[Array, Array]:
    """Robust mean of votes float64[3, N, 68, 2] with shares float64[3, 68].

    Returns it, float64[N, 68, 2], and the votes' disagreement, float64[N, 68]: the root of the
    mean square distance to it, IOD.
    """
    middle = np.median(apart, 0)
    for _ in range(rounds):
        far = ((apart - middle) ** 2).sum(-1)
        weight = share[:, None] / (1 + far / FAR**2) ** 2
        middle = (weight[..., None] * apart).sum(0) / weight.sum(0)[..., None]
    far = ((apart - middle) ** 2).sum(-1)
    return middle, np.sqrt((share[:, None] * far).sum(0))


def hand_made() -> Array:
    """Mean of hand-made points 17-67, float64[51, 2], IOD, about the outer eye corners' middle."""
    shape = np.stack([HAND_MADE_X, HAND_MADE_Y], 1)
    left, right = shape[36 - 17], shape[45 - 17]
    return (shape - (left + right) / 2) / (right[0] - left[0])


def _pairs(numbers: NDArray[np.complex128]) -> Array:
    return np.stack([numbers.real, numbers.imag], -1)
