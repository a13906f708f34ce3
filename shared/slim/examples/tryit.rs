use std::{path::Path, time::Instant};
use ferry_slim::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let t = Instant::now();
    let p = read_jdk(&jdk_home().unwrap()).unwrap();
    println!("jdk {} {} classes, closed {} in {:?}", p.version, p.classes.len(), p.closed.len(), t.elapsed());
    let t = Instant::now();
    let base = BaseProfile::load(Path::new(&a[1]), Limits::default()).unwrap();
    println!("base {} classes in {:?}", base.classes.len(), t.elapsed());
    let plain = base.to_json().len();
    let base = base.with_java(p);
    let json = base.to_json();
    std::fs::write("/tmp/slimw/p.json", &json).unwrap();
    println!("json {} with java {}, table {}", plain, json.len(), base.classes.to_bytes().len());
    let t = Instant::now();
    let base = BaseProfile::load(Path::new("/tmp/slimw/p.json"), Limits::default()).unwrap();
    println!("loaded in {:?}", t.elapsed());
    for jar in &a[2..] {
        let t = Instant::now();
        let r = slim(Path::new(jar), Some(&base), &Stamp::packaged(), Path::new("/tmp/slimw/out.jar"), Limits::default()).unwrap();
        let v = r.proof.unwrap();
        println!("{jar}: {} {} classes {} refs {} assumed, in {:?}, left out {}", v.outcome, v.classes, v.references, v.assumed, t.elapsed(), r.left_out.len());
        for f in &v.faults { println!("  FAULT {f}\n     {}", f.remedy); }
        for f in v.gaps.iter().take(60) { println!("  gap [{}] {f}", f.optional.unwrap()); }
    }
}
