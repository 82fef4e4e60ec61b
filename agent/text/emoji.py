"""Pictograms that say whether somebody is pleased."""

SMILE, FROWN = "🙂", "🙁"
HAPPY = frozenset(
    "😀😃😄😁😆😅🤣😂🙂😊😇🥰😍🤩😘😗☺😚😙😋😛😜🤪😎🤗🥳👍👏🙌💪👌🤝❤🧡💛💚💙💜🤎🖤🤍💕💖💗💓💞💘💝⭐🌟✨🎉🎊🏆🥇💯✅😻😺😸🫶🤟🤙🔝😌♥"
)
SAD = frozenset(
    "😞😔😟😕🙁☹😣😖😫😩🥺😢😭😤😠😡🤬😱😨😰😥😓🤮🤢👎💔😒🙄😑😾😿🤦💩🖕❌⛔😷🤒🥵🥶😵😪🫤🥱☠💀"
)
