"""A whole fleet on one machine in a few minutes: broker, database, collector, controller, simulated
devices and a real one, an update repository, a good release and a bad one."""
