# The handler; see below.
