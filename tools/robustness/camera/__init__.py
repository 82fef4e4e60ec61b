"""A camera that hangs, lies and crashes, under the running perceive process."""
