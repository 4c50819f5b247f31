// C loop around a Verilated exeunt_core: whole buffers in, results and event cycles out.
//
// Built as a shared library and called through ctypes once per chunk of cycles, never per cycle.
// One handle is one model with its own context; a process may hold several.
//
// Cycle t is the period that the t-th rising edge (from 0 at the end of the last reset) ends. All
// recorded cycles are of that count. A model opened with taps also reports every transfer of a
// tapped stream; with VM_TRACE it writes waves while a chosen frame is inside.
//
// Parts of the design have a clock of their own, which ticks only in cycles in which they are awake
// (ex_gate.sv). gates.h is written beside Verilator's C++ (exeunt.simulate.gates): EX_GATES lists
// these clocks. With EX_DIRECT an edge is one call of Verilator's eval_nba, with the triggers of
// the parts that are awake, and inputs settle by its ico phase; else two full evaluations are made.
// With EX_MAPS the core has a stream of heat maps.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "Vexeunt.h"
#include "verilated.h"
#include "svdpi.h"
#include "gates.h"
#if EX_BULK
#include "Vexeunt___024root.h"
#endif
#if VM_TRACE_FST
#include "verilated_fst_c.h"
typedef VerilatedFstC Trace;
#elif VM_TRACE_VCD
#include "verilated_vcd_c.h"
typedef VerilatedVcdC Trace;
#elif VM_TRACE_SAIF
#include "verilated_saif_c.h"
typedef VerilatedSaifC Trace;
#endif

#if EX_DIRECT
bool Vexeunt___024root___eval_phase__ico(Vexeunt___024root* root);
void Vexeunt___024root___eval_triggers_vec__act(Vexeunt___024root* root);
void Vexeunt___024root___eval_nba(Vexeunt___024root* root);
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
    bool awake = false;  // every part is evaluated in every cycle
    bool stale = true;   // an input has changed since the outputs settled
    std::vector<uint32_t> map_words;  // of packets of maps, with EX_MAPS
    std::vector<int64_t> map_cycles;
    std::vector<uint8_t> map_lasts;
#if EX_DIRECT
    bool direct = false;
    uint64_t always[EX_WORDS] = {};             // triggers of what has no gate
    uint64_t parts[EX_COUNT + 1][EX_WORDS] = {};  // of each part behind a gate
    uint64_t all[EX_WORDS] = {};
#endif
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

template <typename T, typename V>
inline void drive(Sim* sim, T& port, V value) {
    if (port == static_cast<T>(value)) return;
    port = static_cast<T>(value);
    sim->stale = true;
}

inline void low(Sim* sim) {  // inputs are set: let the outputs of this cycle settle
#if EX_DIRECT
    if (sim->direct) {
        if (!sim->stale) return;
        sim->stale = false;
        sim->top->rootp->__VicoFirstIteration = 1;
        Vexeunt___024root___eval_phase__ico(sim->top->rootp);
        return;
    }
#endif
    sim->top->clk = 0;
#if EX_BULK
#define EX_GATE(index, tick, want) sim->top->rootp->tick = 0;
    EX_GATES(EX_GATE)
#undef EX_GATE
#endif
    sim->top->eval();
#if VM_TRACE
    if (sim->tracing) sim->trace->dump(static_cast<uint64_t>(sim->cycle) * 10);
#endif
}

inline void edge(Sim* sim) {
#if EX_BULK
    Vexeunt___024root* root = sim->top->rootp;
    const bool awake = sim->awake || root->EX_RESET;
#endif
#if EX_DIRECT
    if (sim->direct) {
        uint64_t due[EX_WORDS];
        for (int w = 0; w < EX_WORDS; ++w) due[w] = awake ? sim->all[w] : sim->always[w];
#define EX_GATE(index, tick, want) \
    for (int w = 0; w < EX_WORDS; ++w) due[w] |= root->want ? sim->parts[index][w] : 0;
        EX_GATES(EX_GATE)
#undef EX_GATE
        for (int w = 0; w < EX_WORDS; ++w) root->__VnbaTriggered[w] = due[w];
        Vexeunt___024root___eval_nba(root);
        ++sim->cycle;
        return;
    }
#endif
#if EX_BULK
#define EX_GATE(index, tick, want) root->tick = awake || root->want;
    EX_GATES(EX_GATE)
#undef EX_GATE
#endif
    sim->top->clk = 1;
    sim->top->eval();
#if VM_TRACE
    if (sim->tracing) sim->trace->dump(static_cast<uint64_t>(sim->cycle) * 10 + 5);
#endif
    ++sim->cycle;
}

// Learn which trigger belongs to which clock: raise one after the other and look. Every one must
// have one of its own, or the edges are made in Verilator's own way.
void learn(Sim* sim) {
#if EX_DIRECT
    Vexeunt___024root* root = sim->top->rootp;
    int bits = 0, clocks = 0;
    uint64_t* found = nullptr;
    auto look = [&]() {
        Vexeunt___024root___eval_triggers_vec__act(root);
        for (int w = 0; w < EX_WORDS; ++w) {
            const uint64_t raised = root->__VactTriggered[w];
            found[w] |= raised;
            bits += __builtin_popcountll(raised);
            sim->all[w] |= raised;
        }
    };
    found = sim->always;
    sim->top->clk = 1;
    look();
    sim->top->clk = 0;
    look();
    ++clocks;
#define EX_GATE(index, tick, want) \
    found = sim->parts[index];     \
    root->tick = 1;                \
    look();                        \
    root->tick = 0;                \
    look();                        \
    ++clocks;
    EX_GATES(EX_GATE)
#undef EX_GATE
    int different = 0;
    for (int w = 0; w < EX_WORDS; ++w) {
        root->__VactTriggered[w] = 0;
        different += __builtin_popcountll(sim->all[w]);
    }
    sim->direct = bits == clocks && different == clocks;
#else
    (void)sim;
#endif
}

#if EX_MAPS
// Outputs have settled: keep the word of a map that moves in this cycle.
inline void take_map(Sim* sim) {
    if (!sim->top->map_valid || !sim->top->map_ready) return;
    sim->map_words.push_back(sim->top->map_data);
    sim->map_cycles.push_back(sim->cycle);
    sim->map_lasts.push_back(sim->top->map_last);
}
#endif

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
    int64_t linger;            // cycles without a word of a map that end a run, behind its last result
    uint32_t map_stall;        // map_ready is low in map_stall / 2^32 of the cycles
    int64_t frame_words;       // beats of a frame
    int64_t spacing;           // frame n is there from cycle start + n * spacing on
    int64_t start;
};

// Whether the next beat is the first of a frame whose time has not come.
bool early(const Sim* sim, const Job* job) {
    return job->spacing && sim->next_word % job->frame_words == 0 &&
           sim->cycle < job->start + sim->next_word / job->frame_words * job->spacing;
}

void ex_tap(int index, const svBitVecVal* word) {
    Tap& tap = current->taps[index];
    const int64_t k = tap.seen++;
    if (k < tap.first || k >= tap.end) return;
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(word);
    tap.words.insert(tap.words.end(), bytes, bytes + tap.bytes);
    tap.cycles.push_back(current->cycle);
}

// awake: evaluate every part in every cycle, whatever its gate says. plain: edges in Verilator's way.
Sim* ex_open(int tap_count, const char* trace_file, int awake, int plain) {
    Sim* sim = new Sim;
    sim->awake = awake;
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
    sim->top->eval();
    if (!plain) learn(sim);
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

// 1: an edge evaluates only what is awake, in one call.
int ex_direct(Sim* sim) {
#if EX_DIRECT
    return sim->direct;
#else
    (void)sim;
    return 0;
#endif
}

void ex_reset(Sim* sim, int64_t cycles) {
    current = sim;
    Vexeunt* top = sim->top;
    drive(sim, top->s_valid, 0);
    drive(sim, top->s_last, 0);
    drive(sim, top->m_ready, 0);
#if EX_MAPS
    drive(sim, top->map_ready, 0);
#endif
    sim->map_words.clear();
    sim->map_cycles.clear();
    sim->map_lasts.clear();
    drive(sim, top->reg_write, 0);
    drive(sim, top->reg_address, 0);
    drive(sim, top->reg_wdata, 0);
    drive(sim, top->rst, 1);
    for (int64_t i = 0; i < cycles; ++i) {
        low(sim);
        edge(sim);
    }
    drive(sim, top->rst, 0);
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
    drive(sim, sim->top->reg_address, address);
    drive(sim, sim->top->reg_wdata, value);
    drive(sim, sim->top->reg_write, 1);
    low(sim);
    edge(sim);
    drive(sim, sim->top->reg_write, 0);
}

uint32_t ex_read(Sim* sim, uint32_t address) {
    current = sim;
    drive(sim, sim->top->reg_address, address);
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
    const auto done = [sim, job] {
        if (job->result_count < job->result_capacity) return false;
#if EX_MAPS
        int64_t last = job->result_capacity ? job->result_cycles[job->result_capacity - 1] : 0;
        if (!sim->map_cycles.empty() && sim->map_cycles.back() > last) last = sim->map_cycles.back();
        return sim->cycle - last > job->linger;
#else
        return true;
#endif
    };
    while (sim->cycle < end) {
        if (done()) return 1;
#if VM_TRACE
        sim->tracing = sim->trace && sim->cycle >= job->trace_from && sim->cycle < job->trace_to;
#endif
        if (!sim->holding && sim->next_word < job->word_count && !early(sim, job) &&
            !(job->idle && draw(sim) < job->idle)) {
            sim->stale = true;
            put(top->s_data, job->words + sim->next_word * job->stride, bytes);
            const bool ends = job->last_every
                                  ? (sim->next_word + 1) % job->last_every == 0
                                  : sim->next_word + 1 == job->word_count;
            drive(sim, top->s_last, ends);
            drive(sim, top->s_valid, 1);
            sim->holding = true;
        } else if (!sim->holding) {
            drive(sim, top->s_valid, 0);
        }
        drive(sim, top->m_ready, !(job->stall && draw(sim) < job->stall));
#if EX_MAPS
        drive(sim, top->map_ready, !(job->map_stall && draw(sim) < job->map_stall));
#endif
        low(sim);
        if (sim->holding && top->s_ready) {
            sim->holding = false;
            ++sim->next_word;
        }
#if EX_MAPS
        take_map(sim);
#endif
        if (top->m_valid && top->m_ready && job->result_count < job->result_capacity) {
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
    return done() ? 1 : 0;
}

int64_t ex_map_count(Sim* sim) { return static_cast<int64_t>(sim->map_words.size()); }

void ex_map_read(Sim* sim, uint32_t* words, int64_t* cycles, uint8_t* lasts) {
    std::memcpy(words, sim->map_words.data(), sim->map_words.size() * sizeof(uint32_t));
    std::memcpy(cycles, sim->map_cycles.data(), sim->map_cycles.size() * sizeof(int64_t));
    std::memcpy(lasts, sim->map_lasts.data(), sim->map_lasts.size());
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
    uint32_t* maps;            // words of heat maps
    uint8_t* map_lasts;        // map_last of each
    int64_t map_capacity;      // no word is taken beyond so many; 0: nobody takes any
    int64_t map_count;         // words so far
    int64_t map_packets;       // of them with map_last
    int64_t maps_until;        // no word is taken before this cycle
    uint32_t map_stall;        // map_ready is low in map_stall / 2^32 of the cycles
};

static void device_step(Sim* sim, Device* device) {
    Vexeunt* top = sim->top;
    if (!sim->holding) {
        const bool offer = device->sent < device->end && sim->cycle >= device->input_until &&
                           !(device->idle && draw(sim) < device->idle);
        if (offer) {
            sim->stale = true;
            put(top->s_data, device->words + device->sent * device->stride,
                static_cast<int>(device->bytes));
            drive(sim, top->s_last, device->sent + 1 == device->end);
        }
        drive(sim, top->s_valid, offer);
        sim->holding = offer;
    }
    const bool open = device->received < device->capacity && !device->last;
    drive(sim, top->m_ready, open && sim->cycle >= device->output_until && !(device->stall && draw(sim) < device->stall));
#if EX_MAPS
    drive(sim, top->map_ready, device->map_count < device->map_capacity && sim->cycle >= device->maps_until && !(device->map_stall && draw(sim) < device->map_stall));
#endif
    const bool foreign = sim->cycle == device->write_at;
    if (foreign) {
        drive(sim, top->reg_address, static_cast<uint32_t>(device->write_address));
        drive(sim, top->reg_wdata, static_cast<uint32_t>(device->write_value));
        drive(sim, top->reg_write, 1);
    }
    drive(sim, top->rst, sim->cycle >= device->rst_from && sim->cycle < device->rst_to);
    low(sim);
    if (sim->holding && top->s_ready) {
        sim->holding = false;
        ++device->sent;
    }
    if (top->m_valid && top->m_ready) {
        std::memcpy(device->results + 16 * device->received++, top->m_data.data(), 16);
        device->last = top->m_last;
    }
#if EX_MAPS
    if (top->map_valid && top->map_ready) {
        device->maps[device->map_count] = top->map_data;
        device->map_lasts[device->map_count++] = top->map_last;
        device->map_packets += top->map_last;
    }
#endif
    edge(sim);
    if (foreign) drive(sim, top->reg_write, 0);
}

static bool device_received(const Device* device) {
    return device->last || device->received >= device->capacity;
}

// Run `cycles` cycles, or until all is sent (want 1), the results have come (want 2) or a whole map
// is there (want 3).
// 1: so it is; 0: the cycles are over; -1: stopped.
int ex_device_run(Sim* sim, Device* device, int64_t cycles, int want) {
    current = sim;
    for (int64_t i = 0;; ++i) {
        if (!sim->message.empty()) return -1;
        if (want == 1 && device->sent >= device->end) return 1;
        if (want == 2 && device_received(device)) return 1;
        if (want == 3 && device->map_packets) return 1;
        if (i >= cycles) return 0;
        device_step(sim, device);
    }
}

// One cycle each, while the streams go on.
void ex_device_write(Sim* sim, Device* device, uint32_t address, uint32_t value) {
    current = sim;
    if (device->write_at == sim->cycle) device_step(sim, device);
    drive(sim, sim->top->reg_address, address);
    drive(sim, sim->top->reg_wdata, value);
    drive(sim, sim->top->reg_write, 1);
    device_step(sim, device);
    drive(sim, sim->top->reg_write, 0);
}

uint32_t ex_device_read(Sim* sim, Device* device, uint32_t address) {
    current = sim;
    if (device->write_at == sim->cycle) device_step(sim, device);
    drive(sim, sim->top->reg_address, address);
    device_step(sim, device);
    return sim->top->reg_rdata;
}

// Both transfers and all words of maps are forgotten, and the beat that was offered.
void ex_device_stop(Sim* sim, Device* device) {
    device->end = device->sent = 0;
    device->capacity = device->received = device->last = 0;
    device->map_capacity = device->map_count = device->map_packets = 0;
    sim->holding = false;
    drive(sim, sim->top->s_valid, 0);
    drive(sim, sim->top->m_ready, 0);
#if EX_MAPS
    drive(sim, sim->top->map_ready, 0);
#endif
}

}  // extern "C"
