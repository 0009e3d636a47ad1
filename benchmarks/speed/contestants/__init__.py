"""The contestants, each a class that a worker process makes; nothing here imports a framework before it is needed."""
