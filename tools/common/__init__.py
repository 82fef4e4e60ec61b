"""What tools of several rooms need; imports none of them."""
