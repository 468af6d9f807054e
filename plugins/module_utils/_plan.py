class PlanError(Exception): pass
def handle(r): return {'error':'stub'}
