"""Look and play: the course's functions under sliders. Optional; nothing in the course needs it.

python -m explore
"""

from course.core import require

require(
    ("marimo",),
    ", which the rooms are made of. Install: python -m pip install -c constraints.txt -e '.[policy,explore]'",
)
