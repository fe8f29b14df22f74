"""The vendors whose servers Wicket can stand in for, each a `Profile`: call it to build an app of that vendor."""

from wicket.profiles.featurebase import featurebase
from wicket.profiles.generic import generic
from wicket.profiles.getuserfeedback import getuserfeedback
from wicket.profiles.hissuno import hissuno
from wicket.profiles.profile import Profile
from wicket.profiles.userz import userz

BY_NAME = {profile.name: profile for profile in (featurebase, generic, getuserfeedback, hissuno, userz)}

__all__ = ["BY_NAME", "Profile", "featurebase", "generic", "getuserfeedback", "hissuno", "userz"]
