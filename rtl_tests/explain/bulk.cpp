// Runs requests through ex_explain as fast as it takes them, with the context in arrays.
//
// bulk IN OUT STALL: IN holds requests, exit, method and the words of every tap, see bulk.py; OUT
// gets the cycle of every request, then {word, cycle, last} of every word, and OUT.counts how many
// accesses there were: words of weights, of the context, of masks read and written, gradients read
// and written. m_ready is low in STALL of 100 cycles, at random.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "Vex_explain.h"
#include "Vex_explain___024root.h"

static const uint64_t HANGS = 50000000;  // cycles without a word

template <class T> static void read(FILE* file, T* to, size_t count) {
  if (fread(to, sizeof(T), count, file) != count) {
    fprintf(stderr, "bulk: the input ends too soon\n");
    exit(1);
  }
}

int main(int, char** argv) {
  FILE* file = fopen(argv[1], "rb");
  uint32_t head[4];  // requests, taps, exit, method
  read(file, head, 4);
  const unsigned count = head[0];
  std::vector<uint32_t> requests(2 * count), words(head[1]);
  read(file, requests.data(), requests.size());
  std::vector<std::vector<uint64_t>> taps(head[1]);
  for (unsigned t = 0; t < head[1]; t++) {
    read(file, &words[t], 1);
    taps[t].resize(size_t(count) * words[t]);
    read(file, taps[t].data(), taps[t].size());
  }
  fclose(file);
  const int stall = atoi(argv[3]);

  Vex_explain dut;
  dut.rst = 1;
  dut.s_valid = 0;
  dut.m_ready = 0;
  for (int i = 0; i < 3; i++) {
    dut.clk = 0;
    dut.eval();
    dut.clk = 1;
    dut.eval();
  }
  dut.rst = 0;
  dut.s_exit = head[2];
  dut.s_method = head[3];
  dut.s_slot = 0;
  std::vector<uint32_t> takes, out;
  unsigned asked = 0, done = 0, frame = 0;
  uint64_t context = 0, idle = 0, counts[6] = {};
  const auto& at = *dut.rootp;
  for (uint64_t cycle = 0; done < count && idle < HANGS; cycle++) {
    dut.clk = 0;
    dut.s_valid = asked < count;
    if (asked < count) {
      dut.s_id = requests[2 * asked];
      dut.s_class = requests[2 * asked + 1];
    }
    dut.m_ready = rand() % 100 >= stall;
#if CW > 64
    for (int i = 0; i < (CW + 31) / 32; i++) dut.c_data[i] = i < 2 ? context >> (32 * i) : 0;
#else
    dut.c_data = context;
#endif
    dut.eval();
    const bool take = dut.s_valid && dut.s_ready, give = dut.m_valid && dut.m_ready;
    counts[0] += at.ex_explain__DOT__weights_enable && !at.ex_explain__DOT__sweep;
    counts[1] += dut.c_enable;
    counts[2] += at.ex_explain__DOT__word_enable && at.ex_explain__DOT__from_masks;
    counts[3] += at.ex_explain__DOT__mask_write;
    counts[4] += at.ex_explain__DOT__item_enable && at.ex_explain__DOT__reader__DOT__has &&
                 at.ex_explain__DOT__from_masks;
    counts[5] += at.ex_explain__DOT__value_write;
    if (dut.c_enable) {
      const unsigned tap = dut.c_tap, at = dut.c_address;
      context = at < words[tap] ? taps[tap][size_t(frame) * words[tap] + at] : ~uint64_t(0);
    }
    idle++;
    if (give) {
      out.insert(out.end(), {dut.m_data, uint32_t(cycle), uint32_t(dut.m_last)});
      done += dut.m_last;
      idle = 0;
    }
    if (take) {
      takes.push_back(cycle);
      frame = asked++;
    }
    dut.clk = 1;
    dut.eval();
  }
  if (done < count) {
    fprintf(stderr, "bulk: %u of %u maps, then nothing\n", done, count);
    return 1;
  }
  file = fopen(argv[2], "wb");
  fwrite(takes.data(), 4, takes.size(), file);
  fwrite(out.data(), 4, out.size(), file);
  fclose(file);
  file = fopen((std::string(argv[2]) + ".counts").c_str(), "wb");
  fwrite(counts, 8, 6, file);
  fclose(file);
  return 0;
}
