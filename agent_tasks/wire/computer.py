"""Computer use (preview): what the model wants done on the display."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from agent_tasks.wire.base import ByType, Open, WireModel

__all__ = [
    "AnyComputerUseAction",
    "ClickAction",
    "ComputerScreenshot",
    "ComputerUseAction",
    "CoordinatePoint",
    "DoubleClickAction",
    "DragAction",
    "KeyPressAction",
    "MouseButton",
    "MoveAction",
    "SafetyCheck",
    "ScreenshotAction",
    "ScrollAction",
    "TypeAction",
    "WaitAction",
]


class SafetyCheck(WireModel):
    """A check that the caller has to acknowledge."""

    id: str
    code: str | None = None
    message: str | None = None


class ComputerScreenshot(WireModel):
    """The display after an action, by file id or address."""

    type: str = "computer_screenshot"
    file_id: str | None = None
    image_url: str | None = None


class CoordinatePoint(WireModel):
    """A point, in pixels."""

    x: int
    y: int


class MouseButton(StrEnum):
    """Buttons of a mouse."""

    LEFT = "left"
    RIGHT = "right"
    WHEEL = "wheel"
    BACK = "back"
    FORWARD = "forward"


class ComputerUseAction(WireModel):
    """One action; stands for unknown kinds."""

    type: str


class ClickAction(ComputerUseAction):
    """Click at a point."""

    type: Literal["click"] = "click"
    x: int
    y: int
    button: Open[MouseButton]


class DoubleClickAction(ComputerUseAction):
    """Double click at a point."""

    type: Literal["double_click"] = "double_click"
    x: int
    y: int


class DragAction(ComputerUseAction):
    """Drag along points."""

    type: Literal["drag"] = "drag"
    path: list[CoordinatePoint]


class KeyPressAction(ComputerUseAction):
    """Press keys together."""

    type: Literal["keypress"] = "keypress"
    keys: list[str]


class MoveAction(ComputerUseAction):
    """Move the pointer."""

    type: Literal["move"] = "move"
    x: int
    y: int


class ScreenshotAction(ComputerUseAction):
    """Take a picture of the display."""

    type: Literal["screenshot"] = "screenshot"


class ScrollAction(ComputerUseAction):
    """Scroll at a point."""

    type: Literal["scroll"] = "scroll"
    x: int
    y: int
    scroll_x: int
    scroll_y: int


class TypeAction(ComputerUseAction):
    """Type text."""

    type: Literal["type"] = "type"
    text: str


class WaitAction(ComputerUseAction):
    """Wait a moment."""

    type: Literal["wait"] = "wait"


AnyComputerUseAction = Annotated[
    ClickAction
    | DoubleClickAction
    | DragAction
    | KeyPressAction
    | MoveAction
    | ScreenshotAction
    | ScrollAction
    | TypeAction
    | WaitAction
    | ComputerUseAction,
    ByType(),
]
