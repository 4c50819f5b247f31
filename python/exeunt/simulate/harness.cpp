// C loop around a Verilated exeunt_core: whole buffers in, results and event cycles out.
//
// Built as a shared library and called through ctypes once per chunk of cycles, never per cycle.
// One handle is one model with its own context; a process may hold several.
//
// Cycle t is the period that the t-th rising edge (from 0 at the end of the last reset) ends. All
// recorded cycles are of that count. A model opened with taps also reports every transfer of a
// tapped stream; with VM_TRACE it writes waves while a chosen frame is inside.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "Vexeunt.h"
#include "verilated.h"
#include "svdpi.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
typedef VerilatedFstC Trace;
#elif VM_TRACE_VCD
#include "verilated_vcd_c.h"
typedef VerilatedVcdC Trace;
#endif

namespace {

struct Tap {
    int64_t seen = 0, first = 0, end = 0;  // words so far; the window that is kept
    int bytes = 0;
    std::vector<uint8_t> words;
    std::vector<int64_t> cycles;
};

struct Sim {
    VerilatedContext context;
    Vexeunt* top = nullptr;
    int64_t cycle = 0;
    int64_t next_word = 0;
    uint64_t random = 0x9e3779b97f4a7c15ull;
    bool holding = false;  // a word is offered and was not taken yet
    std::string message;
    std::vector<Tap> taps;
#if VM_TRACE
    Trace* trace = nullptr;
    bool tracing = false;
#endif
};

thread_local Sim* current = nullptr;

template <typename T>
inline void put(T& port, const uint8_t* bytes, int count) {
    T value = 0;
    std::memcpy(&value, bytes, count);
    port = value;
}
template <std::size_t N>
inline void put(VlWide<N>& port, const uint8_t* bytes, int count) {
    port[N - 1] = 0;
    std::memcpy(port.data(), bytes, count);
}

inline uint32_t draw(Sim* sim) {
    sim->random ^= sim->random << 13;
    sim->random ^= sim->random >> 7;
    sim->random ^= sim->random << 17;
    return static_cast<uint32_t>(sim->random >> 32);
}

inline void low(Sim* sim) {  // inputs are set: let the outputs of this cycle settle
    sim->top->clk = 0;
    sim->top->eval();
#if VM_TRACE
    if (sim->tracing) sim->trace->dump(static_cast<uint64_t>(sim->cycle) * 10);
#endif
}

inline void edge(Sim* sim) {
    sim->top->clk = 1;
    sim->top->eval();
#if VM_TRACE
    if (sim->tracing) sim->trace->dump(static_cast<uint64_t>(sim->cycle) * 10 + 5);
#endif
    ++sim->cycle;
}

void stop(const char* what, const char* file, int line, const char* scope) {
    if (current && current->message.empty()) {
        const char* base = std::strrchr(file, '/');
        current->message = std::string(what) + " at " + (base ? base + 1 : file) + ":" +
                           std::to_string(line) + " in " + scope + " in cycle " +
                           std::to_string(current->cycle);
    }
}

}  // namespace

// Verilator calls these instead of ending the process.
void vl_fatal(const char* file, int line, const char* scope, const char* message) VL_MT_UNSAFE {
    stop(message && *message ? message : "$fatal", file, line, scope ? scope : "");
}
void vl_stop(const char* file, int line, const char* scope) VL_MT_UNSAFE {
    stop("$stop", file, line, scope ? scope : "");
}
void vl_finish(const char* file, int line, const char* scope) VL_MT_UNSAFE {
    stop("$finish", file, line, scope ? scope : "");
}

extern "C" {

// What ex_run reads and fills; Python mirrors the order (exeunt.simulate.library.Job).
struct Job {
    const uint8_t* words;      // packed input beats, `stride` bytes each
    int64_t word_count;        // beats in all
    int64_t stride;
    int64_t last_every;        // s_last with every such beat; 0: with the last one only
    uint8_t* results;          // 16 bytes each
    int64_t* result_cycles;    // cycle of each result's transfer on m_*
    int64_t result_capacity;   // stop when so many have come
    int64_t result_count;      // so far (in and out)
    int64_t* accept_cycles;    // one per accepted frame
    int64_t accept_capacity;
    int64_t accept_count;
    int64_t* decide_cycles;    // [exit][decide_capacity]
    uint8_t* decide_takes;     // [exit][decide_capacity]
    int64_t decide_capacity;
    int64_t decide_counts[8];
    uint32_t idle;             // a new word is held back in idle / 2^32 of the cycles
    uint32_t stall;            // m_ready is low in stall / 2^32 of the cycles
    int64_t trace_from;        // waves between these cycles
    int64_t trace_to;
};

void ex_tap(int index, const svBitVecVal* word) {
    Tap& tap = current->taps[index];
    const int64_t k = tap.seen++;
    if (k < tap.first || k >= tap.end) return;
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(word);
    tap.words.insert(tap.words.end(), bytes, bytes + tap.bytes);
    tap.cycles.push_back(current->cycle);
}

Sim* ex_open(int tap_count, const char* trace_file) {
    Sim* sim = new Sim;
    sim->taps.resize(tap_count);
    current = sim;
    sim->context.fatalOnError(false);
    const char* arguments[] = {"exeunt", "+ex_taps"};
    sim->context.commandArgs(tap_count ? 2 : 1, arguments);
#if VM_TRACE
    sim->context.traceEverOn(true);
#endif
    sim->top = new Vexeunt(&sim->context);
#if VM_TRACE
    if (trace_file && *trace_file) {
        sim->trace = new Trace;
        sim->top->trace(sim->trace, 99);
        sim->trace->open(trace_file);
    }
#else
    (void)trace_file;
#endif
    return sim;
}

void ex_close(Sim* sim) {
    current = sim;
    sim->top->final();
#if VM_TRACE
    if (sim->trace) {
        sim->trace->close();
        delete sim->trace;
    }
#endif
    delete sim->top;
    delete sim;
    current = nullptr;
}

const char* ex_error(Sim* sim) { return sim->message.c_str(); }

int64_t ex_cycle(Sim* sim) { return sim->cycle; }

void ex_reset(Sim* sim, int64_t cycles) {
    current = sim;
    Vexeunt* top = sim->top;
    top->s_valid = 0;
    top->s_last = 0;
    top->m_ready = 0;
    top->reg_write = 0;
    top->reg_address = 0;
    top->reg_wdata = 0;
    top->rst = 1;
    for (int64_t i = 0; i < cycles; ++i) {
        low(sim);
        edge(sim);
    }
    top->rst = 0;
    sim->cycle = 0;
    sim->next_word = 0;
    sim->holding = false;
    for (Tap& tap : sim->taps) {
        tap.seen = 0;
        tap.words.clear();
        tap.cycles.clear();
    }
}

// One cycle each, with the streams idle.
void ex_write(Sim* sim, uint32_t address, uint32_t value) {
    current = sim;
    sim->top->reg_address = address;
    sim->top->reg_wdata = value;
    sim->top->reg_write = 1;
    low(sim);
    edge(sim);
    sim->top->reg_write = 0;
}

uint32_t ex_read(Sim* sim, uint32_t address) {
    current = sim;
    sim->top->reg_address = address;
    low(sim);
    edge(sim);
    low(sim);
    return sim->top->reg_rdata;
}

void ex_seed(Sim* sim, uint64_t seed) {
    sim->random = (seed + 1) * 0x9e3779b97f4a7c15ull;
    for (int i = 0; i < 8; ++i) draw(sim);
}

void ex_window(Sim* sim, int tap, int bytes, int64_t first, int64_t end) {
    Tap& t = sim->taps[tap];
    t.bytes = bytes;
    t.first = first;
    t.end = end;
}

int64_t ex_tap_count(Sim* sim, int tap) {
    return static_cast<int64_t>(sim->taps[tap].cycles.size());
}

void ex_tap_read(Sim* sim, int tap, uint8_t* words, int64_t* cycles) {
    const Tap& t = sim->taps[tap];
    std::memcpy(words, t.words.data(), t.words.size());
    std::memcpy(cycles, t.cycles.data(), t.cycles.size() * sizeof(int64_t));
}

// Run at most `cycles` cycles. 1: every result asked for has come; 0: more to do; -1: stopped.
int ex_run(Sim* sim, Job* job, int64_t cycles) {
    current = sim;
    Vexeunt* top = sim->top;
    const int64_t end = sim->cycle + cycles;
    const int bytes = static_cast<int>(job->stride);
    while (sim->cycle < end) {
        if (job->result_count >= job->result_capacity) return 1;
#if VM_TRACE
        sim->tracing = sim->trace && sim->cycle >= job->trace_from && sim->cycle < job->trace_to;
#endif
        if (!sim->holding && sim->next_word < job->word_count &&
            !(job->idle && draw(sim) < job->idle)) {
            put(top->s_data, job->words + sim->next_word * job->stride, bytes);
            const bool ends = job->last_every
                                  ? (sim->next_word + 1) % job->last_every == 0
                                  : sim->next_word + 1 == job->word_count;
            top->s_last = ends;
            top->s_valid = 1;
            sim->holding = true;
        } else if (!sim->holding) {
            top->s_valid = 0;
        }
        top->m_ready = !(job->stall && draw(sim) < job->stall);
        low(sim);
        if (sim->holding && top->s_ready) {
            sim->holding = false;
            ++sim->next_word;
        }
        if (top->m_valid && top->m_ready) {
            std::memcpy(job->results + 16 * job->result_count, top->m_data.data(), 16);
            job->result_cycles[job->result_count++] = sim->cycle;
        }
        if (top->ev_accept && job->accept_count < job->accept_capacity)
            job->accept_cycles[job->accept_count++] = sim->cycle;
        unsigned decided = top->ev_decide;
        for (int exit = 0; decided; ++exit, decided >>= 1) {
            if ((decided & 1) && job->decide_counts[exit] < job->decide_capacity) {
                const int64_t at = exit * job->decide_capacity + job->decide_counts[exit]++;
                job->decide_cycles[at] = sim->cycle;
                job->decide_takes[at] = (top->ev_take >> exit) & 1;
            }
        }
        edge(sim);
        if (!sim->message.empty()) return -1;
    }
    return job->result_count >= job->result_capacity ? 1 : 0;
}

// A simple-mode DMA at the core's streams: one transfer each way at a time, Python mirrors the order
// (exeunt.simulate.dma). Nothing of it moves unless ex_device_run or a register access is called.
struct Device {
    const uint8_t* words;      // input beats of the transfer under way
    int64_t stride;            // bytes between them
    int64_t bytes;             // bytes of one that the core has
    int64_t sent;              // beats taken so far
    int64_t end;               // beats of the transfer, the last with s_last; none under way: sent
    uint8_t* results;          // 16 bytes each
    int64_t capacity;          // most results of the transfer under way; 0: none under way
    int64_t received;          // so far
    int64_t last;              // m_last has come with the last of them
    int64_t input_until;       // no new beat is offered before this cycle
    int64_t output_until;      // no result is taken before this cycle
    int64_t write_at;          // in this cycle somebody else writes a register; never: -1
    int64_t write_address;
    int64_t write_value;
    int64_t rst_from;          // rst between these cycles
    int64_t rst_to;
    uint32_t idle;             // a new beat is held back in idle / 2^32 of the cycles
    uint32_t stall;            // m_ready is low in stall / 2^32 of the cycles
};

static void device_step(Sim* sim, Device* device) {
    Vexeunt* top = sim->top;
    if (!sim->holding) {
        const bool offer = device->sent < device->end && sim->cycle >= device->input_until &&
                           !(device->idle && draw(sim) < device->idle);
        if (offer) {
            put(top->s_data, device->words + device->sent * device->stride,
                static_cast<int>(device->bytes));
            top->s_last = device->sent + 1 == device->end;
        }
        top->s_valid = offer;
        sim->holding = offer;
    }
    const bool open = device->received < device->capacity && !device->last;
    top->m_ready = open && sim->cycle >= device->output_until &&
                   !(device->stall && draw(sim) < device->stall);
    const bool foreign = sim->cycle == device->write_at;
    if (foreign) {
        top->reg_address = static_cast<uint32_t>(device->write_address);
        top->reg_wdata = static_cast<uint32_t>(device->write_value);
        top->reg_write = 1;
    }
    top->rst = sim->cycle >= device->rst_from && sim->cycle < device->rst_to;
    low(sim);
    if (sim->holding && top->s_ready) {
        sim->holding = false;
        ++device->sent;
    }
    if (top->m_valid && top->m_ready) {
        std::memcpy(device->results + 16 * device->received++, top->m_data.data(), 16);
        device->last = top->m_last;
    }
    edge(sim);
    if (foreign) top->reg_write = 0;
}

static bool device_received(const Device* device) {
    return device->last || device->received >= device->capacity;
}

// Run `cycles` cycles, or until all is sent (want 1) or the results have come (want 2).
// 1: so it is; 0: the cycles are over; -1: stopped.
int ex_device_run(Sim* sim, Device* device, int64_t cycles, int want) {
    current = sim;
    for (int64_t i = 0;; ++i) {
        if (!sim->message.empty()) return -1;
        if (want == 1 && device->sent >= device->end) return 1;
        if (want == 2 && device_received(device)) return 1;
        if (i >= cycles) return 0;
        device_step(sim, device);
    }
}

// One cycle each, while the streams go on.
void ex_device_write(Sim* sim, Device* device, uint32_t address, uint32_t value) {
    current = sim;
    if (device->write_at == sim->cycle) device_step(sim, device);
    sim->top->reg_address = address;
    sim->top->reg_wdata = value;
    sim->top->reg_write = 1;
    device_step(sim, device);
    sim->top->reg_write = 0;
}

uint32_t ex_device_read(Sim* sim, Device* device, uint32_t address) {
    current = sim;
    if (device->write_at == sim->cycle) device_step(sim, device);
    sim->top->reg_address = address;
    device_step(sim, device);
    return sim->top->reg_rdata;
}

// Both transfers are forgotten, and the beat that was offered.
void ex_device_stop(Sim* sim, Device* device) {
    device->end = device->sent = 0;
    device->capacity = device->received = device->last = 0;
    sim->holding = false;
    sim->top->s_valid = 0;
    sim->top->m_ready = 0;
}

}  // extern "C"
