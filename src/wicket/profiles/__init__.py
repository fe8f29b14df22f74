"""One `Profile` per supported vendor. Call a profile to build an app of that vendor."""

from typing import Final

from wicket.profiles.featurebase import featurebase
from wicket.profiles.generic import generic
from wicket.profiles.getuserfeedback import getuserfeedback
from wicket.profiles.hissuno import hissuno
from wicket.profiles.profile import Profile
from wicket.profiles.userz import userz

BY_NAME: Final = {profile.name: profile for profile in (featurebase, generic, getuserfeedback, hissuno, userz)}
"""Every profile by its name."""

__all__ = ["BY_NAME", "Profile", "featurebase", "generic", "getuserfeedback", "hissuno", "userz"]
