# Stands in for Vivado: tclsh vivado_stand_in.tcl VERSION build.tcl
#
# Knows the pins, interfaces, properties and address segments of the IPs that our block design uses,
# as AMD documents them, and refuses what Vivado would refuse: an object that does not exist, a
# property that an IP does not have, a value out of range. validate_bd_design goes further: every
# required pin must be driven, every clock be the one clock, both ends of every interface fit, every
# slave be addressed or excluded, once and aligned. Where AMD's documents leave it open what Vivado
# does, the stand-in does the worse: a $readmemh in an IP finds its file only when its name is a
# literal, values that are propagated cannot be set, and a check that fails only says so. Findings
# are printed as `CHECK: ...` and end with exit 1.
#
# EXEUNT_ABSENT=NAME takes an IP out of the catalog; EXEUNT_PROCESSORS and EXEUNT_KILOBYTES are the
# machine's; EXEUNT_INTEGRITY=says or returns: how a failed ipx::check_integrity shows.

set sim_findings {}
proc finding {text} { lappend ::sim_findings $text; puts "CHECK: $text" }
proc refuse {text} { finding $text; error $text }

# --- IPs: properties are {name pattern}, pins {name direction kind required}, interfaces
#     {name mode kind required}; kind of a stream has its bytes, as in axis:16

set sim_catalog {
  xilinx.com:ip:processing_system7:5.4 xilinx.com:ip:processing_system7:5.5
  xilinx.com:ip:zynq_ultra_ps_e:3.4 xilinx.com:ip:zynq_ultra_ps_e:3.5
  xilinx.com:ip:proc_sys_reset:5.0 xilinx.com:ip:axi_dma:7.1 xilinx.com:ip:axi_dma_extra:9.0
  xilinx.com:ip:smartconnect:1.0 xilinx.com:ip:xlconcat:2.1 xilinx.com:ip:axi_intc:4.1
  xilinx.com:ip:axis_dwidth_converter:1.1 xilinx.com:inline_hdl:ilconcat:1.0
}
if {[info exists env(EXEUNT_ABSENT)]} {
  set sim_catalog [lsearch -all -inline -not -glob $sim_catalog *:$env(EXEUNT_ABSENT):*]
}
set sim_repository {}

proc width {} { return {^(32|64|128|256|512|1024)$} }
proc stream_width {} { return {^(8|16|32|64|128|256|512|1024)$} }
set sim_mio {^MIO [0-9]+( \.\. [0-9]+)?( [0-9]+)*$}

proc properties {ip} {
  switch $ip {
    processing_system7 {
      return [list {PCW_(CRYSTAL|APU|FPGA[0-3]|SDIO|UART)_PERIPHERAL_FREQMHZ} {^[0-9.]+$} \
        {PCW_EN_(CLK|RST)[0-3]_PORT} {^[01]$} {PCW_USE_(M_AXI_GP[01]|S_AXI_HP[0-3])} {^[01]$} \
        {PCW_S_AXI_HP[0-3]_DATA_WIDTH} {^(32|64)$} \
        {PCW_USE_FABRIC_INTERRUPT} {^[01]$} {PCW_IRQ_F2P_INTR} {^[01]$} \
        {PCW_PRESET_BANK[01]_VOLTAGE} {^LVCMOS (1.8|2.5|3.3)V$} \
        {PCW_UIPARAM_DDR_MEMORY_TYPE} {^DDR 3$} {PCW_UIPARAM_DDR_PARTNO} {^MT41\w+ RE-\w+$} \
        {PCW_UIPARAM_DDR_BUS_WIDTH} {^(16|32) Bit$} {PCW_UIPARAM_DDR_FREQ_MHZ} {^[0-9.]+$} \
        {PCW_UIPARAM_DDR_TRAIN_(WRITE_LEVEL|READ_GATE|DATA_EYE)} {^[01]$} \
        {PCW_UIPARAM_DDR_USE_INTERNAL_VREF} {^[01]$} \
        {PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_[0-3]} {^-?0\.\d+$} \
        {PCW_UIPARAM_DDR_BOARD_DELAY[0-3]} {^0\.\d+$} \
        {PCW_(QSPI|ENET[01]|SD[01]|UART[01]|USB[01])_PERIPHERAL_ENABLE} {^[01]$} \
        {PCW_(QSPI_QSPI|ENET0_ENET0|SD0_SD0|UART0_UART0|USB0_USB0)_IO} $::sim_mio \
        {PCW_(QSPI_GRP_SINGLE_SS|QSPI_GRP_FBCLK|ENET0_GRP_MDIO|SD0_GRP_CD)_ENABLE} {^[01]$} \
        {PCW_(ENET0_GRP_MDIO|SD0_GRP_CD)_IO} $::sim_mio]
    }
    zynq_ultra_ps_e {
      return [list {PSU_BANK_[0-3]_IO_STANDARD} {^LVCMOS(18|25|33)$} \
        {PSU__PSS_REF_CLK__FREQMHZ} {^33\.33} {PSU__CRF_APB__DDR_CTRL__FREQMHZ} {^\d+$} \
        {PSU__CRF_APB__DDR_CTRL__SRCSEL} {^DPLL$} {PSU__DDR_HIGH_ADDRESS_GUI_ENABLE} {^[01]$} \
        {PSU__FPGA_PL[0-3]_ENABLE} {^[01]$} {PSU__CRL_APB__PL[0-3]_REF_CTRL__SRCSEL} {^IOPLL$} \
        {PSU__CRL_APB__PL[0-3]_REF_CTRL__FREQMHZ} {^[0-9.]+$} \
        {PSU__USE__(FABRIC__RST|M_AXI_GP[0-2]|S_AXI_GP[0-6]|IRQ[01])} {^[01]$} \
        {PSU__NUM_FABRIC_RESETS} {^[0-4]$} {PSU__[MS]AXIGP[0-6]__DATA_WIDTH} {^(32|64|128)$} \
        {PSU__DDRC__(MEMORY_TYPE)} {^(DDR|LPDDR) 4$} {PSU__DDRC__COMPONENTS} {^Components$} \
        {PSU__DDRC__(BUS_WIDTH)} {^(32|64) Bit$} {PSU__DDRC__DRAM_WIDTH} {^(8|16|32) Bits$} \
        {PSU__DDRC__DEVICE_CAPACITY} {^\d+ MBits$} {PSU__DDRC__SPEED_BIN} {^(DDR4|LPDDR4)_\w+$} \
        {PSU__DDRC__(BANK|BG|ROW|COL)_ADDR_COUNT} {^\d+$} {PSU__DDRC__C(W?)L} {^\d+$} \
        {PSU__DDRC__T_(RCD|RP|RC|RAS_MIN|FAW)} {^[0-9.]+$} \
        {PSU__DDRC__TRAIN_(WRITE_LEVEL|READ_GATE|DATA_EYE)} {^[01]$} \
        {PSU__DDRC__(VREF|ADDR_MIRROR|ENABLE_DP_SWITCH)} {^[01]$} \
        {PSU__DDRC__BRC_MAPPING} {^ROW_BANK_COL$} {PSU__DDRC__DM_DBI} {^DM_NO_DBI$} \
        {PSU__DDRC__ECC} {^Disabled$} {PSU__DDRC__FGRM} {^1X$} {PSU__DDRC__LP_ASR} {^manual normal$} \
        {PSU__DDRC__(LP)?DDR4_T_REF_RANGE} {^(Normal|High) \(.*\)$} \
        {PSU__(QSPI|I2C1|UART[01]|CAN1|SD[01]|SPI[01]|USB[01]|ENET3)__PERIPHERAL__ENABLE} {^[01]$} \
        {PSU__(QSPI|I2C1|UART[01]|CAN1|SD[01]|SPI[01]|USB[01]|ENET3)__PERIPHERAL__IO} $::sim_mio \
        {PSU__QSPI__PERIPHERAL__MODE} {^Single$} {PSU__QSPI__PERIPHERAL__DATA_MODE} {^x4$} \
        {PSU__(QSPI__GRP_FBCLK|SD[01]__GRP_CD|ENET3__GRP_MDIO)__ENABLE} {^[01]$} \
        {PSU__(SD1__GRP_CD|ENET3__GRP_MDIO)__IO} $::sim_mio \
        {PSU__SD[01]__SLOT_TYPE} {^SD 2.0$} {PSU__SD[01]__DATA_TRANSFER_MODE} {^4Bit$}]
    }
    axi_dma {
      return [list c_include_(sg|mm2s|s2mm|mm2s_dre|s2mm_dre) {^[01]$} c_micro_dma {^[01]$} \
        c_sg_include_stscntrl_strm {^[01]$} c_sg_length_width {^(8|9|1\d|2[0-6])$} \
        c_addr_width {^(3[2-9]|[45]\d|6[0-4])$} c_m_axi_(mm2s|s2mm)_data_width [width] \
        c_m_axis_mm2s_tdata_width [stream_width] c_(mm2s|s2mm)_burst_size {^(2|4|8|16|32|64|128|256)$}]
    }
    axis_dwidth_converter {
      return {M_TDATA_NUM_BYTES {^([1-9]|[1-9]\d|[1-4]\d\d|50\d|51[0-2])$}}  ;# others are propagated
    }
    smartconnect { return {NUM_[SM]I {^([1-9]|1[0-6])$} NUM_CLKS {^[1-8]$}} }
    xlconcat - ilconcat { return {NUM_PORTS {^([1-9]|[12]\d|3[0-2])$}} }
    axi_intc { return {C_IRQ_CONNECTION {^[01]$} C_IRQ_IS_LEVEL {^[01]$} C_HAS_FAST {^[01]$}} }
    default { return {} }
  }
}

proc value {cell name default} {
  return [expr {[info exists ::sim_values($cell,$name)] ? $::sim_values($cell,$name) : $default}]
}

proc pins {cell} {
  switch $::sim_ip_of($cell) {
    processing_system7 {
      set out {FCLK_CLK0 O clk 0 FCLK_RESET0_N O rst 0}
      if {[value $cell PCW_USE_M_AXI_GP0 1]} { lappend out M_AXI_GP0_ACLK I clk 1 }
      if {[value $cell PCW_USE_S_AXI_HP0 0]} { lappend out S_AXI_HP0_ACLK I clk 1 }
      if {[value $cell PCW_USE_FABRIC_INTERRUPT 0] && [value $cell PCW_IRQ_F2P_INTR 0]} {
        lappend out IRQ_F2P I irq 1
      }
      return $out
    }
    zynq_ultra_ps_e {
      set out {}
      if {[value $cell PSU__FPGA_PL0_ENABLE 1]} { lappend out pl_clk0 O clk 0 }
      if {[value $cell PSU__USE__FABRIC__RST 1]} { lappend out pl_resetn0 O rst 0 }
      if {[value $cell PSU__USE__M_AXI_GP0 1]} { lappend out maxihpm0_fpd_aclk I clk 1 }
      if {[value $cell PSU__USE__M_AXI_GP1 1]} { lappend out maxihpm1_fpd_aclk I clk 1 }
      if {[value $cell PSU__USE__M_AXI_GP2 0]} { lappend out maxihpm0_lpd_aclk I clk 1 }
      if {[value $cell PSU__USE__S_AXI_GP2 0]} { lappend out saxihp0_fpd_aclk I clk 1 }
      if {[value $cell PSU__USE__IRQ0 0]} { lappend out pl_ps_irq0 I irq 1 }
      return $out
    }
    proc_sys_reset {
      return {slowest_sync_clk I clk 1 ext_reset_in I rst 1 aux_reset_in I rst 0 mb_debug_sys_rst I rst 0
        dcm_locked I any 0 mb_reset O rst 0 bus_struct_reset O rst 0 peripheral_reset O rst 0
        interconnect_aresetn O rst 0 peripheral_aresetn O rst 0}
    }
    axi_dma {
      set out {s_axi_lite_aclk I clk 1 axi_resetn I rst 1}
      foreach way {mm2s s2mm} {
        if {[value $cell c_include_$way 1]} {
          lappend out m_axi_${way}_aclk I clk 1 ${way}_introut O irq 1
        }
      }
      if {[value $cell c_include_sg 1]} { lappend out m_axi_sg_aclk I clk 1 }
      return $out
    }
    axis_dwidth_converter - smartconnect { return {aclk I clk 1 aresetn I rst 1} }
    xlconcat - ilconcat {
      set out {dout O irq 1}
      for {set i 0} {$i < [value $cell NUM_PORTS 2]} {incr i} { lappend out In$i I irq 1 }
      return $out
    }
    axi_intc { return {s_axi_aclk I clk 1 s_axi_aresetn I rst 1 intr I irq 1 irq O irq 1} }
    exeunt_top { return {aclk I clk 1 aresetn I rst 1} }
  }
}

proc interfaces {cell} {
  set out {}
  switch $::sim_ip_of($cell) {
    processing_system7 {
      set out {DDR M ddrx 1 FIXED_IO M fixedio 1}
      if {[value $cell PCW_USE_M_AXI_GP0 1]} { lappend out M_AXI_GP0 M aximm 1 }
      if {[value $cell PCW_USE_S_AXI_HP0 0]} { lappend out S_AXI_HP0 S aximm 1 }
    }
    zynq_ultra_ps_e {
      foreach {port name} {M_AXI_GP0 M_AXI_HPM0_FPD M_AXI_GP1 M_AXI_HPM1_FPD} {
        if {[value $cell PSU__USE__$port 1]} { lappend out $name M aximm 1 }
      }
      if {[value $cell PSU__USE__S_AXI_GP2 0]} { lappend out S_AXI_HP0_FPD S aximm 1 }
    }
    axi_dma {
      lappend out S_AXI_LITE S aximm 1
      if {[value $cell c_include_mm2s 1]} {
        set bytes [expr {[value $cell c_m_axis_mm2s_tdata_width 32] / 8}]
        lappend out M_AXI_MM2S M aximm 1 M_AXIS_MM2S M axis:$bytes 1
      }
      if {[value $cell c_include_s2mm 1]} { lappend out M_AXI_S2MM M aximm 1 S_AXIS_S2MM S axis:any 1 }
    }
    axis_dwidth_converter {
      lappend out S_AXIS S axis:any 1
      lappend out M_AXIS M axis:[value $cell M_TDATA_NUM_BYTES 1] 1
    }
    smartconnect {
      for {set i 0} {$i < [value $cell NUM_SI 2]} {incr i} { lappend out [format S%02d_AXI $i] S aximm 1 }
      for {set i 0} {$i < [value $cell NUM_MI 1]} {incr i} { lappend out [format M%02d_AXI $i] M aximm 1 }
    }
    axi_intc { lappend out s_axi S aximm 1 }
    exeunt_top {
      lappend out s_axis S axis:$::sim_packaged(s_axis) 1 m_axis M axis:$::sim_packaged(m_axis) 1 s_axil S aximm 1
      if {[info exists ::sim_packaged(m_axis_map)]} { lappend out m_axis_map M axis:$::sim_packaged(m_axis_map) 1 }
    }
  }
  return $out
}

# segments: {name interface least-range most-range}
proc segments {cell} {
  switch $::sim_ip_of($cell) {
    processing_system7 { return {S_AXI_HP0/HP0_DDR_LOWOCM S_AXI_HP0 0x20000000 0x40000000} }
    zynq_ultra_ps_e {
      set out {SAXIGP2/HP0_DDR_LOW S_AXI_HP0_FPD 0x10000000 0x80000000
        SAXIGP2/HP0_LPS_OCM S_AXI_HP0_FPD 0x1000000 0x1000000
        SAXIGP2/HP0_QSPI S_AXI_HP0_FPD 0x20000000 0x20000000}
      if {[value $cell PSU__DDR_HIGH_ADDRESS_GUI_ENABLE 0]} {
        lappend out SAXIGP2/HP0_DDR_HIGH S_AXI_HP0_FPD 0x10000000 0x800000000
      }
      return $out
    }
    axi_dma { return {S_AXI_LITE/Reg S_AXI_LITE 0x400 0x10000} }
    axi_intc { return {S_AXI/Reg s_axi 0x200 0x10000} }
    exeunt_top { return [list s_axil/reg0 s_axil $::sim_packaged(range) $::sim_packaged(range)] }
    default { return {} }
  }
}

# address spaces: {name interface, first and last address}
proc spaces {cell} {
  switch $::sim_ip_of($cell) {
    processing_system7 { return {Data M_AXI_GP0 0x40000000 0x7FFFFFFF} }
    zynq_ultra_ps_e { return {Data M_AXI_HPM0_FPD 0xA0000000 0xAFFFFFFF} }
    axi_dma {
      set last [expr {2 ** [value $cell c_addr_width 32] - 1}]
      set out {}
      foreach way {MM2S S2MM} {
        if {[value $cell c_include_[string tolower $way] 1]} {
          lappend out Data_$way M_AXI_$way 0 $last
        }
      }
      return $out
    }
    default { return {} }
  }
}

# --- block design commands

proc split_name {object} {
  set cut [string first / $object]
  return [list [string range $object 0 $cut-1] [string range $object $cut+1 end]]
}

proc known {object list columns what} {
  lassign [split_name $object] cell name
  if {![info exists ::sim_ip_of($cell)]} { refuse "$what $object is of a cell that does not exist" }
  foreach [concat found [lrepeat [expr {$columns - 1}] _]] [$list $cell] {
    if {$found eq $name} { return $object }
  }
  refuse "$what $object does not exist"
}

proc get_bd_pins {object} { return [known $object pins 4 "pin"] }
proc get_bd_intf_pins {object} { return [known $object interfaces 4 "interface"] }
proc get_bd_addr_segs {args} {
  if {[lindex $args 0] ne "-of_objects"} { return [known [lindex $args 0] segments 4 "address segment"] }
  lassign [split_name [lindex $args 1]] cell interface
  set out {}
  foreach {name owner least most} [segments $cell] {
    if {$owner eq $interface} { lappend out /$cell/$name }
  }
  return $out
}
proc get_bd_addr_spaces {object} { return [known $object spaces 4 "address space"] }
proc get_bd_intf_ports {name} {
  if {![info exists ::sim_ports($name)]} { refuse "port $name does not exist" }
  return port/$name
}
proc create_bd_design {name} { set ::sim_design $name; set ::sim_saved 0 }
proc create_bd_intf_port {_mode mode _vlnv vlnv name} {
  set ::sim_ports($name) [list $mode $vlnv]
}

proc get_ipdefs {args} {
  if {[lindex $args 0] ne "-all" || [lindex $args 1] ne "-filter"} { refuse "get_ipdefs $args" }
  if {![regexp {^VLNV =~ (\S+)$} [lindex $args 2] _ pattern]} { refuse "get_ipdefs $args" }
  return [lsearch -all -inline -glob [concat $::sim_catalog $::sim_repository] $pattern]
}

proc create_bd_cell {_type type _vlnv vlnv name} {
  if {$type ne [expr {[string match *:inline_hdl:* $vlnv] ? "inline_hdl" : "ip"}]} {
    refuse "cell $name of type $type cannot be $vlnv"
  }
  if {$vlnv ni [concat $::sim_catalog $::sim_repository]} { refuse "IP $vlnv is not in the catalog" }
  if {[info exists ::sim_ip_of($name)]} { refuse "cell $name exists already" }
  lassign [split $vlnv :] vendor library ip version
  set all [get_ipdefs -all -filter "VLNV =~ $vendor:$library:$ip:*"]
  if {$vlnv ne [lindex [lsort -dictionary $all] end]} { finding "cell $name is an old $vlnv" }
  set ::sim_ip_of($name) $ip
  return cell/$name
}

proc set_cell {cell name value} {
  if {![regexp {^CONFIG\.(.*)$} $name _ key]} { refuse "cell $cell has no property $name" }
  foreach {pattern rule} [properties $::sim_ip_of($cell)] {
    if {[regexp "^(?:$pattern)\$" $key]} {
      if {![regexp -- $rule $value]} { refuse "cell $cell: $key must match $rule, got '$value'" }
      set ::sim_values($cell,$key) $value
      return
    }
  }
  refuse "cell $cell ($::sim_ip_of($cell)) has no property $key"
}

proc connect_bd_net {args} {
  if {[llength $args] < 2} { refuse "connect_bd_net needs two pins, got $args" }
  set net [incr ::sim_nets]
  foreach pin $args {
    if {[info exists ::sim_net_of($pin)]} { refuse "pin $pin is connected twice" }
    set ::sim_net_of($pin) $net
    lappend ::sim_pins_of($net) $pin
  }
}

proc row {object list} {
  lassign [split_name $object] cell name
  if {$cell eq "port"} {
    lassign $::sim_ports($name) mode vlnv
    regexp {:(\w+?)_rtl:} $vlnv _ kind
    return [list [expr {$mode eq "Master" ? "S" : "M"}] $kind 1]  ;# seen from inside
  }
  foreach {found a b c} [$list $cell] { if {$found eq $name} { return [list $a $b $c] } }
}

proc connect_bd_intf_net {a b} {
  foreach object [list $a $b] {
    if {[info exists ::sim_peer($object)]} { refuse "interface $object is connected twice" }
  }
  lassign [row $a interfaces] mode_a kind_a
  lassign [row $b interfaces] mode_b kind_b
  if {$mode_a eq $mode_b} { refuse "interfaces $a and $b are both $mode_a" }
  if {[lindex [split $kind_a :] 0] ne [lindex [split $kind_b :] 0]} {
    refuse "interfaces $a and $b are $kind_a and $kind_b"
  }
  set ::sim_peer($a) $b
  set ::sim_peer($b) $a
}

proc bytes {size} {
  regexp {^(\d+)([KMG]?)$} $size _ number unit
  return [expr {$number * [dict get {"" 1 K 1024 M 1048576 G 1073741824} $unit]}]
}

proc assign_bd_address {args} {
  set segment {}
  foreach {key default} {-offset 0 -range 0 -target_address_space {}} { set option($key) $default }
  while {[llength $args]} {
    set args [lassign $args word]
    if {[info exists option($word)]} {
      set args [lassign $args option($word)]
    } elseif {$word ne "-force"} { set segment $word }
  }
  lappend ::sim_assigned [list $option(-target_address_space) $segment \
    [expr {$option(-offset) + 0}] [bytes $option(-range)]]
}

proc exclude_bd_addr_seg {_space space segment} {
  if {$_space ne "-target_address_space"} { refuse "exclude_bd_addr_seg $_space" }
  known [string trimleft $segment /] segments 4 "address segment"
  set ::sim_excluded($space,[string trimleft $segment /]) 1
}

proc regenerate_bd_layout {} {}
proc save_bd_design {} { set ::sim_saved 1 }

# --- what must hold of a finished block design

# slaves that a master's interface reaches, through interconnects
proc reached {object} {
  if {![info exists ::sim_peer($object)]} { return {} }
  set slave $::sim_peer($object)
  lassign [split_name $slave] cell name
  if {$cell eq "port" || $::sim_ip_of($cell) ne "smartconnect"} { return [list $slave] }
  set out {}
  foreach {name mode kind required} [interfaces $cell] {
    if {$mode eq "M"} { lappend out {*}[reached $cell/$name] }
  }
  return $out
}

proc check_pins {} {
  foreach cell [lsort [array names ::sim_ip_of]] {
    foreach {name direction kind required} [pins $cell] {
      set pin $cell/$name
      if {![info exists ::sim_net_of($pin)]} {
        if {$required} { finding "pin $pin is not connected" }
        continue
      }
    }
  }
  set clocks {}
  foreach net [lsort -integer [array names ::sim_pins_of]] {
    set drivers {}
    set kinds {}
    foreach pin $::sim_pins_of($net) {
      lassign [row $pin pins] direction kind
      if {$direction eq "O"} { lappend drivers $pin }
      if {$kind ne "any" && $kind ni $kinds} { lappend kinds $kind }
      if {$kind eq "clk" && $net ni $clocks} { lappend clocks $net }
    }
    if {[llength $drivers] != 1} { finding "net of [lindex $::sim_pins_of($net) 0] has drivers '$drivers'" }
    if {[llength $kinds] > 1} { finding "net of [lindex $::sim_pins_of($net) 0] mixes $kinds" }
  }
  if {[llength $clocks] != 1} { finding "the design has [llength $clocks] clocks, not one" }
}

proc check_interfaces {} {
  foreach cell [lsort [array names ::sim_ip_of]] {
    foreach {name mode kind required} [interfaces $cell] {
      set object $cell/$name
      if {![info exists ::sim_peer($object)]} {
        if {$required} { finding "interface $object is not connected" }
        continue
      }
      if {$mode eq "S" || ![string match axis:* $kind]} continue
      set other [lindex [row $::sim_peer($object) interfaces] 1]
      if {"axis:any" ni [list $kind $other] && $kind ne $other} {
        finding "$object is $kind, $::sim_peer($object) is $other"
      }
      set peer [lindex [split_name $::sim_peer($object)] 0]
      if {$::sim_ip_of($peer) eq "axis_dwidth_converter"} {
        set ::sim_values($peer,S_TDATA_NUM_BYTES) [lindex [split $kind :] 1]
        foreach name {HAS_TKEEP HAS_TLAST} {
          set ::sim_values($peer,$name) [expr {$::sim_ip_of($cell) in {axi_dma exeunt_top}}]
        }
      } elseif {$other eq "axis:any"} {
        set memory [value $peer c_m_axi_s2mm_data_width 32]
        if {8 * [lindex [split $kind :] 1] > $memory} { finding "$object is wider than its memory port" }
      }
    }
    if {$::sim_ip_of($cell) eq "axi_dma"} {
      if {[value $cell c_m_axis_mm2s_tdata_width 32] > [value $cell c_m_axi_mm2s_data_width 32]} {
        finding "$cell: its stream is wider than its memory port"
      }
      if {[value $cell c_include_sg 1] || [value $cell c_sg_length_width 14] != 26} {
        finding "$cell must be in simple mode with lengths of 26 bits"
      }
    }
    if {$::sim_ip_of($cell) eq "axis_dwidth_converter"} {
    }
  }
  foreach cell [lsort [array names ::sim_ip_of]] {
    if {$::sim_ip_of($cell) eq "axis_dwidth_converter"} {
      set a [value $cell S_TDATA_NUM_BYTES 1]
      set b [value $cell M_TDATA_NUM_BYTES 1]
      set common $a
      while {$common % $b} { incr common $a }
      if {$common > 512} { finding "$cell works on $common bytes, more than 512" }
      if {![value $cell HAS_TKEEP 0] || ![value $cell HAS_TLAST 0]} {
        finding "$cell must have TKEEP and TLAST, or the end of a transfer is lost"
      }
    }
  }
}

proc check_addresses {} {
  foreach entry $::sim_assigned {
    lassign $entry space segment offset size
    lassign [split_name $segment] cell name
    foreach {found interface least most} [segments $cell] {
      if {$found ne $name} continue
      if {$size < $least || $size > $most} { finding "$segment has a range of $size" }
      set inside($space,$cell/$interface) 1
    }
    lassign [split_name $space] owner name
    foreach {found interface first last} [spaces $owner] {
      if {$found ne $name} continue
      if {$offset < $first || $offset + $size - 1 > $last} {
        finding "$segment at [format 0x%X $offset] is outside of $space"
      }
      if {$segment eq "" || [lsearch [reached $owner/$interface] $cell/*] < 0} {
        finding "$space does not reach $segment"
      }
    }
    if {$offset % $size} { finding "$segment at [format 0x%X $offset] is not aligned to $size" }
    foreach other $::sim_assigned {
      lassign $other space2 segment2 offset2 size2
      if {$space ne $space2 || $segment eq $segment2} continue
      if {$offset < $offset2 + $size2 && $offset2 < $offset + $size} {
        finding "$segment and $segment2 overlap in $space"
      }
    }
  }
  foreach cell [lsort [array names ::sim_ip_of]] {
    foreach {name interface first last} [spaces $cell] {
      foreach slave [reached $cell/$interface] {
        if {![info exists inside($cell/$name,$slave)]} { finding "$slave has no address in $cell/$name" }
        lassign [split_name $slave] owner port
        foreach {segment where least most} [segments $owner] {
          if {$where ne $port} continue
          set assigned [lsearch -exact -index 1 [lsearch -all -inline -exact -index 0 \
              $::sim_assigned $cell/$name] $owner/$segment]
          set excluded [info exists ::sim_excluded($cell/$name,$owner/$segment)]
          if {$assigned < 0 && !$excluded} { finding "$owner/$segment is not mapped into $cell/$name" }
          if {$assigned >= 0 && $excluded} { finding "$owner/$segment is mapped and excluded" }
        }
      }
      if {![llength [reached $cell/$interface]]} { finding "$cell/$name reaches nothing" }
    }
  }
}

# the clock that the processing system makes, a little less than what it is asked for
proc made_hz {} {
  foreach name {PCW_FPGA0_PERIPHERAL_FREQMHZ PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ} {
    if {[info exists ::sim_values(ps_0,$name)]} {
      set hz [expr {round(1e6 * $::sim_values(ps_0,$name))}]
      return [expr {$hz - ($hz % 1000000 ? 0 : 1)}]
    }
  }
}

proc check_frequencies {} {
  foreach cell [array names ::sim_ip_of] {
    if {$::sim_ip_of($cell) ne "exeunt_top"} continue
    set ::sim_hz [expr {$::sim_packaged(resolve) eq "user" ? [made_hz] : $::sim_packaged(hz)}]
    if {$::sim_hz != [made_hz]} { finding "FREQ_HZ of $cell ($::sim_hz) is not the clock's" }
  }
}

proc validate_bd_design {} {
  check_pins
  check_interfaces
  check_addresses
  check_frequencies
}

# --- the IP packager

namespace eval ipx {
  proc get_bus_parameters {name _of bus} {
    return [expr {[info exists ::sim_parameter($bus,$name)] ? "parameter/$name" : ""}]
  }
  proc add_bus_parameter {name bus} {
    if {$bus ne "bus/aclk"} { ::refuse "$bus has no $name" }
    set ::sim_parameter($bus,$name) 1
    return parameter/$name
  }
  proc package_project {args} {
    foreach {key value} [lrange $args 0 end-1] { set option($key) $value }
    if {$option(-root_dir) ne "ip" || $::sim_top ne "exeunt_ip"} { refuse "ipx::package_project $args" }
    foreach file [array names ::sim_type_of] {
      if {![string match ip/* $file]} { refuse "file $file is outside of the IP" }
    }
    ::read_ip ip/src/exeunt_ip.v ip/src/exeunt_top.sv
    set ::sim_core 1
  }
  proc current_core {} { return core/ }
  proc get_bus_interfaces {name _of core} {
    return [expr {[info exists ::sim_bus($name)] ? "bus/$name" : ""}]
  }
  proc associate_bus_interfaces {_busif bus _clock clock core} {
    if {$clock ne "aclk" || ![info exists ::sim_bus($bus)]} { refuse "cannot associate $bus with $clock" }
    set ::sim_associated($bus) $clock
  }
  proc get_memory_maps {name _of core} { return [expr {[info exists ::sim_map] ? "map/$name" : ""}] }
  proc add_memory_map {name core} { set ::sim_map $name }
  proc get_address_blocks {name _of map} { return [expr {[info exists ::sim_block] ? "block/$name" : ""}] }
  proc add_address_block {name map} { set ::sim_block $name }
  proc create_xgui_files {core} {}
  proc update_checksums {core} {}
  # whether the IP is whole: says it at most, or returns it
  proc check_integrity {core} {
    set wrong {}
    foreach bus [lsearch -all -inline -not -regexp [array names ::sim_bus] {^(aclk|aresetn)$}] {
      if {![info exists ::sim_associated($bus)]} { lappend wrong "interface $bus has no clock" }
    }
    if {[::property core/ name] ne "exeunt_top"} { lappend wrong "the IP is not called exeunt_top" }
    if {[::property bus/s_axil slave_memory_map_ref] ne $::sim_map} { lappend wrong "s_axil has no memory map" }
    if {[::property parameter/FREQ_HZ value] eq ""} { lappend wrong "clock aclk has no FREQ_HZ" }
    foreach text $wrong { puts "WARNING: \[IP_Flow 19-0\] $text" }
    set way [expr {[info exists ::env(EXEUNT_INTEGRITY)] ? $::env(EXEUNT_INTEGRITY) : "says"}]
    if {[llength $wrong] && $way eq "says"} { incr ::sim_messages }
    return [expr {$way eq "returns" ? ![llength $wrong] : ""}]
  }
  proc save_core {core} {
    set ::sim_packaged(range) [::property block/ range]
    set ::sim_packaged(hz) [::property parameter/FREQ_HZ value]
    set ::sim_packaged(resolve) [::property parameter/FREQ_HZ value_resolve_type]
    set ::sim_packaged(files) [array get ::sim_type_of]
    close [open ip/component.xml w]
  }
}

# ports of the wrapper with their interface, which must be those of the accelerator's top
proc read_ip {wrapper top} {
  set text [read [set f [open $wrapper]]]; close $f
  set inner [read [set f [open $top]]]; close $f
  set port {(input|output)\s+wire\s*(?:\[(\d+):0\])?\s*(\w+)}
  set mine {}
  foreach {_ vlnv name signal direction high pin} [regexp -all -inline \
      "X_INTERFACE_INFO = \"(\\S+) (\\w+) (\\w+)\" \\*\\)(?:\\s*\\(\\*\[^*\]*\\*\\))?\\s*$port" $text] {
    lappend mine [list $direction $high $pin]
    lappend ::sim_bus($name) $signal
    if {$signal eq "TDATA"} { set ::sim_packaged($name) [expr {($high + 1) / 8}] }
    if {$name ni {aclk aresetn} && $pin ne "${name}_[string tolower $signal]"} {
      finding "port $pin is said to be $name $signal"
    }
    if {[regexp -all "\\.$pin\\($pin\\)" $text] != 1} { finding "port $pin is not passed on" }
  }
  set theirs {}
  regexp {module exeunt_top \((.*?)\);} $inner _ list
  foreach {_ direction high pin} [regexp -all -inline $port $list] {
    lappend theirs [list $direction $high $pin]
  }
  if {[lsort $mine] ne [lsort $theirs]} { finding "ports of exeunt_ip and exeunt_top differ" }
  if {![regexp {XIL_INTERFACENAME s_axil, PROTOCOL AXI4LITE,} $text]} { finding "s_axil is not AXI4-Lite" }
  if {[llength $mine] < 29} { finding "exeunt_ip has only [llength $mine] ports" }
  # memories: every file that a source reads by name, and every one there is, must be in the IP as such
  set names [lmap path [glob -nocomplain ip/src/*.{hex,mem,dat}] {file tail $path}]
  foreach file [array names ::sim_type_of *.sv] {
    set source [read [set f [open $file]]]; close $f
    foreach {_ name} [regexp -all -inline {\$readmemh\("([\w.]+)"} $source] { lappend names $name }
  }
  foreach name [lsort -unique $names] {
    if {![info exists ::sim_type_of(ip/src/$name)]} {
      finding "memory $name is not in the IP"
    } elseif {$::sim_type_of(ip/src/$name) ne "Memory Initialization Files"} {
      finding "memory $name is of type '$::sim_type_of(ip/src/$name)'"
    }
  }
}

# --- projects, files, runs

proc create_project {args} {
  if {[lindex $args 0] ne "-force" || [lindex $args 1] ne "-part"} { refuse "create_project $args" }
  array unset ::sim_type_of
  file mkdir [lindex $args end]
}
proc close_project {} {}
proc current_project {} { return project/ }
proc current_fileset {} { return fileset/ }
proc update_compile_order {args} {}
proc add_files {_norecurse files} {
  foreach file $files {
    if {![file exists $file]} { refuse "file $file does not exist" }
    set ::sim_type_of($file) ""
  }
}
proc get_files {pattern} {
  if {[string match *.bd $pattern]} {
    if {![info exists ::sim_design] || $pattern ne "$::sim_design.bd"} { refuse "file $pattern does not exist" }
    return bd/$pattern
  }
  foreach file [array names ::sim_type_of] {
    if {[string match $pattern [file tail $file]]} { lappend out file/$file }
  }
  if {![info exists out]} { refuse "no file is $pattern" }
  return $out
}
proc set_property {args} {
  if {[lindex $args 0] eq "-dict"} {
    lassign $args _ rows objects
  } else {
    set rows [lrange $args 0 1]
    set objects [lindex $args 2]
  }
  if {![llength $objects] || [llength $rows] % 2} { refuse "set_property of nothing: $args" }
  foreach object $objects {
    foreach {name value} $rows { set_one $object $name $value }
  }
}
proc set_one {object name value} {
  lassign [split_name $object] kind rest
  switch $kind {
    cell { set_cell $rest $name $value }
    file {
      if {$name ne "file_type"} { refuse "files have no $name" }
      set ::sim_type_of($rest) $value
    }
    fileset {
      if {$name ne "top"} { refuse "filesets have no $name" }
      set ::sim_top $value
    }
    project {
      if {$name ne "ip_repo_paths"} { refuse "projects have no $name" }
      set ::sim_paths $value
    }
    core {
      if {$name ni {name version display_name description supported_families}} {
        refuse "IPs have no $name"
      }
      set ::sim_property(core/,$name) $value
    }
    bus { set ::sim_property($object,$name) $value }
    parameter {
      if {$name ni {value value_resolve_type}} { refuse "parameters have no $name" }
      set ::sim_property($object,$name) $value
    }
    map - block { set ::sim_property($kind/,$name) $value }
    default { refuse "set_property of $object" }
  }
}
proc property {object name} {
  return [expr {[info exists ::sim_property($object,$name)] ? $::sim_property($object,$name) : ""}]
}
proc update_ip_catalog {} {
  if {[file exists [file join $::sim_paths component.xml]]} {
    set ::sim_repository exeunt:ip:[property core/ name]:[property core/ version]
  }
}
proc generate_target {what object} {
  if {$object ne "bd/exeunt.bd" || !$::sim_saved} { refuse "generate_target $what $object" }
}
proc make_wrapper {_files design _top} {
  close [open vivado/exeunt_wrapper.v w]
  return vivado/exeunt_wrapper.v
}
proc get_msg_config {_severity severity _count} {
  return [expr {$severity eq "CRITICAL WARNING" ? $::sim_messages : 0}]
}
proc config_ip_cache {option} {
  if {$option ne "-disable_cache"} { refuse "config_ip_cache $option" }
  set ::sim_cached 0
}

# The IP's own run: its log has a warning for every memory that stays empty. With a cache of an
# earlier run there is no run, and no log.
proc synthesize_ip {} {
  if {$::sim_cached} return
  set folder vivado/exeunt.runs/exeunt_exeunt_0_0_synth_1
  file mkdir $folder
  set log [open $folder/runme.log w]
  puts $log "INFO: \[Synth 8-6157\] synthesizing module 'exeunt_core'"
  foreach {file type} $::sim_packaged(files) {
    if {![string match *.sv $file]} continue
    set source [open $file]
    set text [read $source]
    close $source
    foreach {_ name array} [regexp -all -inline {\$readmemh\((.+), (\w+)\);} $text] {
      if {[regexp {^"([\w.]+)"$} $name _ literal] && [dict exists $::sim_packaged(files) ip/src/$literal]} {
        puts $log "INFO: \[Synth 8-3876\] \$readmem data file '$literal' is read successfully"
      } else {
        puts $log "CRITICAL WARNING: \[Synth 8-4445\] could not open \$readmem data file '$name'"
      }
    }
    # an array that is read, and neither written nor given contents
    foreach {_ array} [regexp -all -inline {logic \[[^\]]+\]\s+(weights|memory)\[} $text] {
      if {![regexp "$array\\\[\\d+\\\] = |readmemh\\(.*, $array\\)|$array\\\[\[^\n;=\]+\\\] <=" $text]} {
        puts $log "WARNING: \[Synth 8-3848\] Net $array in module/entity [file rootname [file tail $file]] does not have driver."
      }
    }
  }
  close $log
}

proc launch_runs {run args} {
  array set option $args
  set most [expr {max(1, min($::env(EXEUNT_PROCESSORS), $::env(EXEUNT_KILOBYTES) / (6 << 20)))}]
  if {$option(-jobs) != $most} { refuse "$option(-jobs) runs at once, $most are right for the machine" }
  if {$::sim_top ne "exeunt_wrapper"} { refuse "launch_runs $run of $::sim_top" }
  if {$run eq "synth_1"} {
    if {$::sim_cached} { finding "the IP may come out of a cache, without a log" }
    file mkdir vivado/exeunt.runs/synth_1
    close [open vivado/exeunt.runs/synth_1/runme.log w]
    synthesize_ip
    set ::sim_synthesized 1
    return
  }
  if {$run ne "impl_1" || $option(-to_step) ne "write_bitstream" || !$::sim_synthesized} {
    refuse "launch_runs $run $args"
  }
  file mkdir vivado/run vivado/exeunt.gen/sources_1/bd/exeunt/hw_handoff
  foreach file {run/exeunt_wrapper.bit exeunt.gen/sources_1/bd/exeunt/hw_handoff/exeunt.hwh} {
    set out [open vivado/$file w]
    puts $out "stand-in"
    close $out
  }
}
proc wait_on_run {run} {}
proc get_runs {run} { return run/$run }
proc get_clocks {name} {
  set want [expr {"processing_system7" in [lmap {_ ip} [array get ::sim_ip_of] {set ip}] ? "clk_fpga_0" : "clk_pl_0"}]
  if {$name ne $want} { refuse "clock $name does not exist, but $want" }
  return clock/$name
}
proc get_property {name object} {
  set key [list [lindex [split_name $object] 0] $name]
  if {$name eq "CONFIG.FREQ_HZ"} {
    return [expr {[string match exeunt_0/* $object] ? $::sim_hz : [made_hz]}]
  }
  if {[regexp {^cell/(.*)$} $object _ cell] && [regexp {^CONFIG\.(.*)$} $name _ setting]} {
    return [value $cell $setting ""]
  }
  switch -glob $key {
    {run PROGRESS} { return 100% }
    {run STATUS} { return {write_bitstream Complete!} }
    {run STATS.WNS} - {run STATS.WHS} - {run STATS.TPWS} { return 0.125 }
    {run STATS.TNS} - {run STATS.THS} { return 0.000 }
    {run DIRECTORY} { return vivado/run }
    {clock PERIOD} {
      return [format %.3f [expr {1e9 / [made_hz]}]]
    }
  }
  refuse "$object has no property $name"
}
proc get_parts {_quiet part} {
  return [expr {[regexp {^xc(7z0|zu|k26)\w*-\w+(-\w+)*$|^xc7z\w+$} $part] ? $part : ""}]
}
proc open_run {run} {}
foreach name {timing_summary utilization power drc} {
  proc report_$name {args} { close [open [lindex $args end] w] }
}

# --- main
lassign $argv sim_release sim_script
proc version {_short} { return $::sim_release }
# the machine: what the script asks it for
foreach {name default} {EXEUNT_PROCESSORS 8 EXEUNT_KILOBYTES 33554432} {
  if {![info exists env($name)]} { set env($name) $default }
}
rename open sim_open
proc open {path args} {
  if {$path ne "/proc/meminfo"} { return [sim_open $path {*}$args] }
  set file [sim_open vivado/meminfo w]
  puts $file "MemTotal:       $::env(EXEUNT_KILOBYTES) kB"
  close $file
  return [sim_open vivado/meminfo]
}
proc exec {args} {
  if {$args ne "nproc"} { refuse "exec $args" }
  return $::env(EXEUNT_PROCESSORS)
}
set ::sim_messages 0
set ::sim_cached 1
set ::sim_synthesized 0
set ::sim_top ""
set ::sim_assigned {}
if {[catch {source $sim_script} message]} {
  puts "ERROR: $message"
  exit 1
}
exit [expr {[llength $sim_findings] > 0}]
