"""What a formula is: nodes, dimensions, building, walking, the record of a function, the
slow meaning.
"""
