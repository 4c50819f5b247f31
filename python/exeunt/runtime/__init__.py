"""The host driver: NumPy alone, Python 3.10, any transport.

`Accelerator` answers images over a transport: `exeunt.runtime.pynq.Pynq` (a PYNQ board),
`exeunt.runtime.serial.Serial` (a serial port), and without hardware
`exeunt.simulate.simulated.Simulated` (the RTL under Verilator) and
`exeunt.reference.modelled.Modelled` (the references). Each is imported where it is used.
"""

from exeunt.runtime import golden
from exeunt.runtime.accelerator import Accelerator, Info
from exeunt.runtime.errors import DeviceError, DeviceFault, DeviceTimeout, OutsidePromise
from exeunt.runtime.golden import Golden
from exeunt.runtime.maps import HeatMap
from exeunt.runtime.results import RESULT, Answer, Results
from exeunt.runtime.selftests import Selftest
from exeunt.runtime.transport import TransferError, TransferFault, TransferTimeout, Transport

__all__ = [
    "RESULT",
    "Accelerator",
    "Answer",
    "DeviceError",
    "DeviceFault",
    "DeviceTimeout",
    "Golden",
    "HeatMap",
    "Info",
    "OutsidePromise",
    "Results",
    "Selftest",
    "TransferError",
    "TransferFault",
    "TransferTimeout",
    "Transport",
    "golden",
]
