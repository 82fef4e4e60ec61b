"""The typed configuration, a frozen model; unknown keys and wrong types are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from agent.base.values import FilePath, Host, Hours, Share, TopicLevel, WebAddress, whole_path
from agent.base.vocabulary import Place, PolicyName, Region, WindowLength

Polygon = Annotated[
    tuple[Annotated[tuple[Share, Share], Field(strict=False)], ...],
    Field(min_length=3, max_length=32, strict=False),
]
REMOTE = "remote"
"""Marks fields that may be changed remotely, and only to something stricter than the site's own
file (`privacy.policy.site`); place, policy, epsilon, consent and addresses may only be set on
site."""


class Section(BaseModel):
    """Frozen; unknown keys refused; no coercion of text to numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class DeviceConfig(Section):
    """Identity and location of this device."""

    id: TopicLevel = "fleeting"
    """One MQTT topic level; equals the certificate's common name. No other box may have it: the
    default is refused where the broker is not this machine."""
    group: TopicLevel | None = None
    """Devices that share default settings; null: none."""
    region: Region = "eu"
    place: Place = "retail"


class SourceConfig(Section):
    """The camera or video file."""

    kind: Literal["picamera2", "v4l2", "gstreamer", "file"] = "picamera2"
    target: str = ""
    """Camera number, `/dev/videoN`, GStreamer pipeline or video file; empty: the first camera that
    gives pictures."""

    @field_validator("target")
    @classmethod
    def _at_home(cls, target: str) -> str:
        return whole_path(target) if target.startswith("~") else target

    width: int = Field(640, ge=64, le=4096)
    """Pixels, as the camera delivers them, before `rotate`."""
    height: int = Field(480, ge=64, le=4096)
    """Pixels, likewise."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise by which the picture is turned to be upright; of a file, on top of the
    rotation it states itself. Everything else, `privacy.staff_zones` too, means the upright
    picture."""
    mirror: bool = False
    """Swap left and right of the upright picture, for a camera that sees a mirror."""
    fps: float = Field(30.0, ge=1, le=240)
    """Frames per second to ask the camera for."""
    pace: Literal["realtime", "fast"] = "realtime"
    """Files only: by their own timestamps, or as fast as possible."""
    loop: bool = False
    """Files only: begin again at the end."""
    stall: float = Field(5.0, ge=0.5, le=120)
    """Seconds without a new picture after which the camera counts as hung, and its process is ended
    and started anew."""
    reboot: bool = False
    """Restart the machine where the camera ended the service five times within an hour: at most
    once in six hours and three times a day. As a service only."""

    @property
    def device(self) -> Path | None:
        """The device file of a V4L2 camera; None: not V4L2, or the first is used."""
        if self.kind != "v4l2" or not self.target:
            return None
        numbered = self.target.isascii() and self.target.isdecimal()
        return Path(f"/dev/video{int(self.target)}" if numbered else self.target)


class SoundConfig(Section):
    """The microphone; whether it is listened to is the policy's to say (`privacy.microphone`)."""

    device: str = Field("", max_length=200)
    """Part of the input's name; empty: the first that is a device itself ("hw:"), else the
    default one."""
    backend: Literal["auto", "pyaudio", "sounddevice"] = "auto"
    """Auto: PyAudio, else sounddevice."""
    stall: float = Field(5.0, ge=0.5, le=120)
    """Seconds without sound after which the microphone counts as gone."""


class DetectionConfig(Section):
    """Detection of faces that are not tracked yet."""

    interval: float = Field(0.5, ge=0.05, le=10)
    """Seconds between detections of new faces while others are tracked."""
    score_above: float | None = Field(None, ge=0.05, le=0.99)
    """Null: the threshold of the model's card."""
    tiles: Annotated[int | None, REMOTE] = Field(None, ge=0, le=4)
    """Also look at n x n overlapping tiles, for faces far away; 0: never; null: as many as keep the
    detector's view at half the picture's resolution or finer."""


class TrackingConfig(Section):
    """Tracking of faces from frame to frame."""

    max_faces: Annotated[int, REMOTE] = Field(40, ge=1, le=200)
    lost_after: float = Field(2.0, ge=0.1, le=10)
    """Seconds undetected after which a track ends; before that it is resumed where it was."""
    budget: float = Field(0.025, ge=0.002, le=1)
    """Seconds of work per frame on a live source; further faces wait for the next frame."""
    attention_cone: float = Field(20.0, ge=5, le=60)
    """Degrees off the camera within which a face counts as attentive."""


class ExpressionConfig(Section):
    """Expression classification."""

    interval: float = Field(0.15, ge=0.03, le=5)
    """Seconds between estimates for one face."""
    min_face: float = Field(24.0, ge=8, le=500)
    """Inter-ocular distance, pixels, below which no expression is estimated."""


class MicroConfig(Section):
    """Micro-expression spotting."""

    enabled: Annotated[bool, REMOTE] = True
    min_fps: float = Field(25.0, ge=25, le=240)
    """Frames per second below which none is reported."""
    min_face: float = Field(40.0, ge=20, le=1000)
    """Inter-ocular distance, pixels."""
    threshold: float = Field(0.6, ge=0.05, le=0.99)
    """Minimum score of a reported movement; lower values give more false alarms."""
    max_noise: float = Field(0.006, ge=0.001, le=0.05)
    """Landmark noise above which a face is not analysed: standard deviation of brows and mouth at
    rest within a micro-expression's duration, inter-ocular distances. Above the default fewer than
    one in five movements of 1.5 % would be found."""


class PrivacyConfig(Section):
    """What a summary may contain."""

    policy: PolicyName = "retail-eu"
    profile: FilePath | None = None
    """A profile file that makes the policy stricter; owned by root or signed."""
    profile_key: FilePath | None = None
    """Ed25519 public key that the profile file must be signed with; null: root must own it."""
    notice_shown: bool = False
    """A person confirms that the notice the profile asks for is displayed on site."""
    notice_names: tuple[Literal["microphone", "words"], ...] = Field((), max_length=2, strict=False)
    """What else the displayed notice names beside the camera, as the sign of `fleeting notice` does
    once it is on: a person confirms that."""
    consent: bool = False
    """A person confirms that those in view consented (research, clinic)."""
    microphone: Annotated[bool | None, REMOTE] = None
    """Whether tone of voice is read; null: the policy's own. Never under `classroom`."""
    words: Annotated[bool | None, REMOTE] = None
    """Whether the sentiment of a kiosk's words is read; null: the policy's own. Never under
    `classroom`."""
    window: Annotated[WindowLength | None, REMOTE] = None
    """Seconds; null: the policy's own."""
    visit_gap: float = Field(15.0, ge=1, le=60)
    """Seconds after which a face that is lost inside the picture and found near that place is
    another visit. Summaries come that much later."""
    k: Annotated[int | None, REMOTE] = Field(None, ge=1, le=100)
    """Cells with fewer visits (noised count) are withheld; null: the policy's own."""
    epsilon: float | None = Field(None, ge=0.01, le=10)
    """Per visit, all cells together; null: the policy's own."""
    quiet_hours: tuple[Hours, ...] = Field((), max_length=8, strict=False)
    """Local times such as "22:00-06:30" in which no frame is analysed."""
    staff_zones: tuple[Polygon, ...] = Field((), max_length=16, strict=False)
    """Polygons of [x, y] corners, fractions of the upright picture's width and height (after
    `source.rotate` and `source.mirror`), that are masked before any model runs."""


class ContentConfig(Section):
    """How a kiosk reports the content on show."""

    socket: FilePath | None = None
    """Unix datagram socket to receive at; null: `content.sock` in systemd's folder, else none."""
    slots: int | None = Field(None, ge=1, le=256)
    """Different slots that may be on show within a day; each multiplies what a day can say. Null:
    the policy's own."""


class WordsConfig(Section):
    """Where words come from; whether they are read at all is `privacy.words`."""

    socket: FilePath | None = None
    """Unix datagram socket to receive lines of text at; null: `words.sock` in systemd's folder,
    else none."""
    wyoming: FilePath | None = None
    """Unix socket of a speech-to-text server of this machine that speaks the Wyoming protocol, such
    as `/run/whisper/wyoming.sock`; null: speech is not transcribed. Needs the extra `speech`."""


class StoreConfig(Section):
    """Files on disk: the outbox, the settings received from the fleet, the receipt key."""

    outbox: FilePath = Path("/var/lib/fleeting/outbox.db")
    max_bytes: int = Field(32_000_000, ge=100_000, le=10_000_000_000)
    max_age: float = Field(30 * 86_400.0, ge=60, le=366 * 86_400)
    """Seconds."""
    max_rows: int = Field(50_000, ge=100, le=100_000)
    """No more than the ledger has lines, which vouch for what is sent."""
    receipt_key: FilePath | None = None
    """Key that receipts are signed with, made at the first start; null: `receipt.key` in the
    uplink's own folder, as systemd made it, else beside the outbox."""
    warden: FilePath | None = None
    """Where the uplink remembers what left, so that no day exceeds its quotas; null: `warden.json`
    in the uplink's own folder, as systemd made it, else in one beside the outbox's folder, with
    `-uplink` after its name. The perceive process must not be able to write there."""

    @property
    def settings(self) -> Path:
        """The remote settings file: `uplink` writes it, `perceive` reads it."""
        return self.outbox.with_name("settings.json")


class MqttConfig(Section):
    """The broker."""

    host: Host = "localhost"
    """Name or address alone, without scheme and port."""
    port: int = Field(1883, ge=1, le=65_535)
    protocol: Literal["5", "3.1.1"] = "5"
    username: str = Field("", max_length=255)
    password_file: FilePath | None = None
    """Mode 0600, or root's and 0640."""
    plaintext_credentials: bool = False
    """Send them without TLS to a broker beyond this machine and private networks: whoever is on the
    way reads them."""
    tls: bool = False
    ca_file: FilePath | None = None
    """Null: the system's certificate authorities."""
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    """As `password_file`."""
    keepalive: int = Field(60, ge=5, le=3600)
    """Seconds."""
    in_flight: int = Field(20, ge=1, le=20)
    """Maximum number of unacknowledged messages."""
    backoff_max: float = Field(60.0, ge=0.1, le=3600)
    """Maximum delay between attempts to connect, seconds; up to ten minutes where another box has
    the same `device.id`."""
    health_interval: int = Field(900, ge=300, le=86_400)
    """Seconds between health messages."""
    discovery: Annotated[bool, REMOTE] = False
    """Also announce this device to Home Assistant."""

    @model_validator(mode="after")
    def _tls_files_need_tls(self) -> MqttConfig:
        if not self.tls and (self.ca_file or self.cert_file or self.key_file):
            raise ValueError("ca_file, cert_file and key_file need tls = true")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file go together")
        return self


class ResearchConfig(Section):
    """Traces of consenting participants, encrypted to the researcher (docs/review.md); under
    `research-consented` only, and only while a session is open."""

    traces: FilePath | None = None
    """Folder that they are written to, such as `/var/lib/fleeting-traces`; null: none is kept. No
    folder of the outbox, of updates or of the installation: the uplink must not see it."""
    key: FilePath | None = None
    """The researcher's public key, which `fleeting review keys` makes."""
    days: int = Field(30, ge=1, le=366)
    """After which a session is deleted on this device."""
    max_bytes: int = Field(1_000_000_000, ge=1_000_000, le=1_000_000_000_000)
    """Of all traces together; beyond it nothing more is kept."""


class HeatConfig(Section):
    """What is done while the board is hot or its supply is weak."""

    ladder: bool = True
    """Do less; false: only say so."""
    pause: float = Field(85.0, ge=60, le=110)
    """Degrees Celsius from which nothing is looked at, until 7 below. From 10 below: 20 frames per
    second, no micro-expressions and no microphone; from 5 below: 10 frames per second and one face;
    each until 5 degrees below its own."""


class UpdateConfig(Section):
    """Updates of the package and its models; the operating system is not ours to update."""

    url: WebAddress = ""
    """Of the update repository, a TUF repository with `metadata/` and `targets/`; empty: updates by
    jobs are refused. `http` only to this machine and private addresses: signatures protect what is
    fetched, not who sees that it is."""
    root: FilePath = Path("/etc/fleeting/root.json")
    """The repository's first root metadata, which all trust begins with."""
    folder: FilePath = Path("/var/lib/fleeting-update")
    """Two slots, the links `current` and `confirmed`, trusted metadata, floors, and the state of an
    update."""
    exchange: FilePath = Path("/var/lib/fleeting-jobs")
    """Where the uplink leaves the job (`job.json`) and the updater its progress
    (`progress.json`)."""
    media: FilePath | None = None
    """Folder at which a stick with an update repository is mounted; null: none is looked for."""
    soak: float = Field(600.0, ge=5, le=86_400)
    """Seconds that both processes have to be well before an update counts."""

    @property
    def on(self) -> bool:
        """Whether this site takes updates."""
        return bool(self.url) or self.media is not None


class AgentConfig(Section):
    """The whole configuration."""

    device: DeviceConfig = DeviceConfig()
    source: SourceConfig = SourceConfig()
    models: FilePath | None = None
    """Folder with `manifest.toml`; null: the models that came with the package."""
    model_set: Literal["research", "clean"] = "research"
    """`clean`: trained only on sources whose terms allow any use; less accurate, see the cards."""
    sound: SoundConfig = SoundConfig()
    detection: DetectionConfig = DetectionConfig()
    tracking: TrackingConfig = TrackingConfig()
    expression: ExpressionConfig = ExpressionConfig()
    micro: MicroConfig = MicroConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    content: ContentConfig = ContentConfig()
    words: WordsConfig = WordsConfig()
    store: StoreConfig = StoreConfig()
    research: ResearchConfig = ResearchConfig()
    heat: HeatConfig = HeatConfig()
    mqtt: MqttConfig = MqttConfig()
    update: UpdateConfig = UpdateConfig()


def remote_fields() -> dict[str, FieldInfo]:
    """The fields marked `REMOTE` by their paths ("section.key"), in alphabetical order."""
    marked = {
        f"{name}.{key}": info
        for name, section in AgentConfig()
        if isinstance(section, Section)
        for key, info in type(section).model_fields.items()
        if REMOTE in info.metadata
    }
    return dict(sorted(marked.items()))
