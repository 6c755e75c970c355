"""The step of `peer.rs` in Taichi, on the processor: one line of numbers in, one line out.

`peer_taichi.py FILE THREADS` reads the particles and the step's numbers that the bench wrote, compiles, and then
answers `run N` with the seconds that N steps took, and `save` with `saved` once FILE holds the particles again.
"""

import sys
import time

import numpy as np
import taichi as ti

path, threads = sys.argv[1], int(sys.argv[2])
numbers = {}
with open(path + ".txt", encoding="utf-8") as text:
    for line in text:
        name, *values = line.split()
        numbers.setdefault(name, []).append([float(value) for value in values])

ti.init(arch=ti.cpu, cpu_max_num_threads=threads, fast_math=True, offline_cache=False, log_level=ti.ERROR)

NAMES = ["px", "py", "pz", "vx", "vy", "vz", "phase", "haste"]
data = np.fromfile(path, dtype="<f4").reshape(len(NAMES), -1)
count = data.shape[1]
fields = [ti.field(ti.f32, shape=count) for _ in NAMES]
for field, values in zip(fields, data):
    field.from_numpy(values)
px, py, pz, vx, vy, vz, phase, haste = fields

def vec(values):
    return ti.math.vec3(*values[:3])


# Known when the kernel is compiled: its loops over them are unrolled.
gravity, dt = vec(numbers["gravity"][0]), numbers["gravity"][0][3]
air, share = vec(numbers["air"][0]), numbers["air"][0][3]
middle, strength = vec(numbers["vortex"][0]), numbers["vortex"][0][3]
axis, core2 = vec(numbers["vortex_axis"][0]), numbers["vortex_axis"][0][3]
inverse_reach2, inflow, lift, _ = numbers["vortex_more"][0]
modes = [(vec(k), k[3], vec(a)) for k, a in zip(numbers["mode"], numbers["amplitude"])]
attractors = [(vec(a), a[3], a[4]) for a in numbers["attractor"]]
planes = [(vec(p), p[3], r[0], r[1]) for p, r in zip(numbers["plane"], numbers["plane_response"])]
spheres = [(vec(s), s[3], r[0], r[1]) for s, r in zip(numbers["sphere"], numbers["sphere_response"])]


@ti.func
def bounced(p, v, n, inside, response, friction):
    p -= n * inside
    into = v.dot(n)
    if inside < 0.0 and into < 0.0:
        v -= n * (into * response) + (v - n * into) * friction
    return p, v


@ti.kernel
def step():
    for i in range(count):
        p = ti.math.vec3(px[i], py[i], pz[i])
        v = ti.math.vec3(vx[i], vy[i], vz[i])
        d = p - middle
        r = d - axis * d.dot(axis)
        r2 = r.dot(r)
        fade = 1.0 / (1.0 + r2 * inverse_reach2)
        near = fade / ti.sqrt(r2 + core2)
        u = air + axis.cross(r) * (strength * near) - r * (inflow * near) + axis * (lift * fade)
        for m in ti.static(range(len(modes))):
            turns = p.dot(modes[m][0]) + modes[m][1]
            part = turns - ti.floor(turns + 0.5)
            wave = part * (8.0 - 16.0 * ti.abs(part))
            u += modes[m][2] * (wave * (0.775 + 0.225 * ti.abs(wave)))
        v += gravity
        v += (u - v) * share
        for m in ti.static(range(len(attractors))):
            to = attractors[m][0] - p
            far2 = to.dot(to) + attractors[m][2]
            v += to * (attractors[m][1] / (far2 * ti.sqrt(far2)))
        if phase[i] >= 1.0:
            v = ti.math.vec3(0.0)
        p += v * dt
        for m in ti.static(range(len(planes))):
            n = planes[m][0]
            inside = ti.min(p.dot(n) - planes[m][1], 0.0)
            p, v = bounced(p, v, n, inside, planes[m][2], planes[m][3])
        for m in ti.static(range(len(spheres))):
            away = p - spheres[m][0]
            far = ti.sqrt(away.dot(away) + 1e-12)
            inside = ti.min(far - spheres[m][1], 0.0)
            p, v = bounced(p, v, away / far, inside, spheres[m][2], spheres[m][3])
        older = phase[i] + haste[i] * dt
        if older >= 1.0:
            older = 1.0
            v = ti.math.vec3(0.0)
        px[i], py[i], pz[i] = p[0], p[1], p[2]
        vx[i], vy[i], vz[i] = v[0], v[1], v[2]
        phase[i] = older


step()
ti.sync()
for field, values in zip(fields, data):
    field.from_numpy(values)
print("ready", flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] == "run":
        start = time.perf_counter()
        for _ in range(int(words[1])):
            step()
        ti.sync()
        print(time.perf_counter() - start, flush=True)
    elif words[0] == "save":
        np.stack([field.to_numpy() for field in fields]).astype("<f4").tofile(path)
        print("saved", flush=True)
