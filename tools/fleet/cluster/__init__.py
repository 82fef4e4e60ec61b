"""Past one machine: a RabbitMQ cluster of three nodes on this machine, and a node killed under
load."""
