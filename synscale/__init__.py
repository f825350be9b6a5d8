"""How much is one more synthetic training image worth, compared with a real one?"""
