"""Explanations in the integers of the hardware: gradients walked back through the compiled graph.

`walk` makes the list of steps for one exit and one method, `scales` chooses their shifts on
calibration images, `backward` computes the maps, `encode` packs them (`exeunt.runtime.maps`
unpacks), `cycles` counts what an engine of a given width needs. NumPy alone.
"""
