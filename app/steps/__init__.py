"""What several journeys walk alike: saying who one is, proving a factor within a flow, being signed in."""
