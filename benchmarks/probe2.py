import sys, time, json, collections
from fitness import targets
from fitness.measure import MeasuringJudge
from fitness.gpu.court import Court
from fitness.gpu import calibrate as cal
from suites import load
spent=collections.Counter(); calls=collections.Counter()
for n in ("_run","_ask"):
    def wrap(old):
        def f(self,*q,**k):
            t=time.perf_counter()
            try: return old(self,*q,**k)
            finally: spent[q[0]]+=time.perf_counter()-t; calls[q[0]]+=1
        return f
    setattr(Court,n,wrap(getattr(Court,n)))
def show(what):
    print("  ",what,{k:(calls[k],round(v*1e3,1)) for k,v in spent.most_common()},flush=True); spent.clear(); calls.clear()
T=targets.find("h200")
if "ref" in sys.argv:
    from fitness.gpu.referee import Referee
    import torch
    from suites import task as tasks
    r=Referee("cuda",0,60<<30)
    for name in ("vector_add","softmax","embedding"):
        task=load(name); r.begin(tasks.pack(task),5)
        r._arena=torch.zeros(8<<30,dtype=torch.uint8,device="cuda")
        c=task.cases[0]
        for tr in r.names(c.name,False):
            torch.cuda.synchronize(); t=time.time(); r._find(c.name,False,tr); torch.cuda.synchronize(); print(name,tr,"prepare ms",round((time.time()-t)*1e3,1))
        k=r._find(c.name,False,"base")
        off=0; ins=[]
        for n,d in k.inputs.items():
            ins.append([n,off]); off+=(d.numel()+65536)//512*512
        w=k.wanted[0]
        out=[[off,w.dtype,list(w.shape)]]
        guards=[[off+(4<<30),4096,"x"]]*6
        for i in range(3):
            t=time.time(); r.fill([c.name,False,"base"],[[ins,[[g[0],g[1]] for g in guards]]]); t1=time.time()
            r._arena[off:off+w.truth.numel()*{"float32":4,"float16":2}[w.dtype]]=w.truth.to(getattr(torch,w.dtype)).reshape(-1).view(torch.uint8)
            torch.cuda.synchronize(); t2=time.time(); x=r.check([c.name,False,"base"],ins,guards,out); t3=time.time()
            print(name,"fill",round((t1-t)*1e3,2),"check",round((t3-t2)*1e3,2),x)
        from torch.profiler import profile, ProfilerActivity
        with profile(activities=[ProfilerActivity.CUDA,ProfilerActivity.CPU]) as p: r.check([c.name,False,"base"],ins,guards,out); torch.cuda.synchronize()
        print(p.key_averages().table(sort_by="cuda_time_total",row_limit=8,max_name_column_width=40))
    sys.exit()
for name in ("vector_add","softmax","gemm_fp16"):
    task=load(name); t=time.time()
    j=MeasuringJudge(task,T); print(name,"start",round(time.time()-t,2)); show("start")
    built=j._builder.build(task.seeds[0].source,(*task.cases,*j._edges()))
    t=time.time(); res=j._verify(built,len(task.cases)); print(" first",round(time.time()-t,3)); show("first")
    j._resolved.clear()
    t=time.time(); res=j._verify(built,len(task.cases)); print(" again",round(time.time()-t,3)); show("again")
    t=time.time(); j._time(res,{"incumbent":res},12); print(" screen",round(time.time()-t,3)); show("screen")
    t=time.time(); j._time(res,{"incumbent":res},40); print(" refine",round(time.time()-t,3)); show("refine")
    j.close()
t=time.time(); c=cal.calibrate(T,0,print); print("calibrate",round(time.time()-t,1)); print(c)
