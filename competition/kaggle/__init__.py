"""Everything about Kaggle: the data comes in, the submission goes out."""

from competition.paths import COMPETITION

PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
SETTINGS_PAGE = "https://www.kaggle.com/settings"
