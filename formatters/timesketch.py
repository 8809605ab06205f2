"""x"""
class TimesketchCsv: pass
class TimesketchJsonl: pass
