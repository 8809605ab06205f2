"""x"""
class L2tCsv: pass
