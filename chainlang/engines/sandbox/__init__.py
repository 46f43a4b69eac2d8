"""Engine of programs: a request's message is a program, and its sample what the program gives."""
