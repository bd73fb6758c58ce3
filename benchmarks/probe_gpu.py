import sys, time, json
import faulthandler; faulthandler.enable()
from fitness import targets
from fitness.measure import MeasuringJudge
from suites import load
import logging; logging.basicConfig(level=logging.INFO)
import cProfile, pstats
for name in sys.argv[1:]:
    t0=time.time()
    task=load(name)
    try:
        j=MeasuringJudge(task, targets.find("h200"))
        print(name,"started",round(time.time()-t0,2), j._court.device, flush=True)
        src=task.seeds[0].source
        t=time.time(); built=j._builder.build(src,(*task.cases,*j._edges())); print(" build",round(time.time()-t,2),flush=True)
        t=time.time(); res=j._verify(built,len(task.cases)); print(" verify first",round(time.time()-t,2),flush=True)
        j._resolved.clear()
        t=time.time(); res=j._verify(built,len(task.cases)); print(" verify again",round(time.time()-t,3),[ (r.case.name,round(r.error,3),round(r.estimate_us,1)) for r in res],flush=True)
        t=time.time(); e=j._race(built,res,{"incumbent":res},False); print(" race",round(time.time()-t,3),flush=True)
        for c in e.cases: print("   ",c.case,c.time_us,c.low_us,c.high_us,c.samples,"floor",c.floor_us,c.bound)
        print("   ",e.against,e.confirmed)
        t=time.time(); e=j.measure(built,len(task.cases),{},True); print(" confirm",round(time.time()-t,3), e.failure,flush=True)
        for c in e.cases: print("   ",c.case,c.time_us,c.low_us,c.high_us,c.samples)
        pr=cProfile.Profile(); pr.enable(); j._resolved.clear(); j._verify(built,len(task.cases)); pr.disable()
        if name==sys.argv[1]: pstats.Stats(pr).sort_stats("tottime").print_stats(8)
    except BaseException as x:
        import traceback; traceback.print_exc()
    finally:
        try: j.close()
        except Exception as x: print(x)
