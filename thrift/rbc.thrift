// The farm's service. TFramedTransport, strict TBinaryProtocol. Fields are only ever added; numbers never change.
// A connection whose first four bytes are "RBC1" is a raw channel instead (docs/protocol.md).
// SPDX-License-Identifier: Apache-2.0
namespace cpp rbc.wire

const i32 PROTOCOL_MAJOR = 1
const i32 PROTOCOL_MINOR = 4
const i32 DEFAULT_PORT = 11530

// What the caller does next; base/error.h says it kind by kind.
enum ErrorKind {
  InvalidArgument = 1, InvalidModule = 2, UnsupportedProducer = 3, Unsupported = 4, MissingSymbol = 5,
  CompileFailed = 6, CompileCrash = 7, Quarantined = 8, DeadlineExceeded = 9, RemoteCrash = 10, WorkerLost = 11,
  StateLost = 12, UnknownModule = 13, UnknownName = 14, UnknownTarget = 15, UnknownSession = 16, WrongFarm = 17,
  Busy = 18, ResourceExhausted = 19, ProtocolMismatch = 20, PermissionDenied = 21, Cancelled = 22, Unavailable = 23,
  ConnectionLost = 24, NoMatch = 25, Internal = 26, BufferLost = 27
}

enum Severity { Error = 0, Warning = 1, Remark = 2, Note = 3 }

// A compiler's message about the client's own IR; line and column count from 1, 0: not known.
struct Diagnostic {
  1: Severity severity
  2: string message
  3: i32 line
  4: i32 column
  5: string source_line
}

// Every refusal and failure. Optional fields are absent where they say nothing.
exception FarmError {
  1: ErrorKind kind
  2: string message
  3: optional string role            // who failed: "daemon", "compile worker", "execution worker"
  4: optional string function_name     // the function that ran or was asked for
  5: optional string cause           // "stack overflow", "assertion failed", ...
  6: optional string address         // WrongFarm: where the session lives
  7: optional binary output          // what the function printed before it ended
  8: optional i32 signal             // signal number
  9: optional bool may_have_run      // the call may have had effects
  10: optional bool retry_safe       // the same request may be sent again
  11: optional i64 retry_after_ms    // Busy, Quarantined
  12: optional list<Diagnostic> diagnostics
}

// A GPU. A target's name with a device's number, "cuda:1", pins to it.
struct DeviceInfo {
  1: i32 number                      // within this farm
  2: string name                     // "NVIDIA H200"
  3: string uuid                     // "GPU-..."; empty: not known
  4: i32 sm                          // 90
  5: i64 memory                      // bytes; 0: not known
  6: i64 free_memory                 // when the farm last looked
  7: string driver                   // "12.8"
  8: i32 contexts                    // sessions on it now
  9: i32 max_contexts
  10: bool simulated
}

struct TargetInfo {
  1: string name                     // "host"
  2: string triple
  3: string data_layout
  4: string cpu
  5: i32 pointer_bits
  6: list<string> devices
  7: bool simulated
  8: string llvm_version
  9: optional list<DeviceInfo> device_infos  // GPUs, in the order of `devices`
}

struct HelloRequest {
  1: i32 protocol_major
  2: i32 protocol_minor
  3: string client                   // "librbc 0.1.0", for logs
  4: optional string token           // where the farm asks for one; docs/security.md
  5: optional string name_space      // where publish and lookup act; absent: "default", by a token the trust domain's own
}

struct HelloReply {
  1: i32 protocol_major
  2: i32 protocol_minor
  3: string farm_id                  // of this farm, stable over restarts
  4: i64 session_id
  5: binary secret                   // 16 bytes; attach needs it
  6: i64 lease_ms                    // how long the session outlives its last connection; 0: not at all
  7: string farm_version
  8: string llvm_version
  9: list<TargetInfo> targets
  10: i64 max_message                // bytes of one framed message
}

struct AttachRequest {
  1: i64 session_id
  2: binary secret
  3: string farm_id                  // as hello gave it; another farm answers WrongFarm
  4: optional string token           // as hello had it
}

// How a symbol takes its arguments; targets/target.h.
enum Abi { Direct = 0, Sysv = 1, StatusRetptr = 2, Kernel = 3 }

enum Emit { Object = 0, Assembly = 1, Ir = 2, Ptx = 3, Cubin = 4 }

struct FunctionDeclaration {
  1: string symbol                   // exact name in the IR
  2: string signature                // "float64(float64, float64)"
  3: Abi abi
}

struct CompileOptions {
  1: i32 opt_level = 2               // 0..3
  2: bool debug = false
  3: bool allow_contract = false     // a*b+c may be fused
  4: bool serial = false             // calls of this module never overlap
}

struct CompileRequest {
  1: i64 request_id
  2: binary handle                   // 32 bytes: digest of what follows, see docs/protocol.md; checked first
  3: string target
  4: list<FunctionDeclaration> functions
  5: CompileOptions options
  6: optional binary ir              // absent: only ask; an unknown handle answers UnknownModule
  7: i32 deadline_ms = 0             // 0: the farm's own limits
  8: bool recache = false            // compile again although it is known
}

struct Timing { 1: string phase, 2: i64 us }

struct FunctionInfo {
  1: i64 function_id                  // what call takes; valid in this session until unload
  2: string symbol
  3: string signature
  4: Abi abi
  5: i32 frame_size                  // bytes of the fixed parameters
  6: i32 result_size
  7: optional list<i32> read_only    // parameters, counted from 0: arrays that no call writes into; absent: not known. Since
                                     // 1.4
}

struct CompileReply {
  1: binary handle
  2: i64 module_id                      // what unload takes
  3: list<FunctionInfo> functions    // one a declaration, in order
  4: bool cached                     // nothing was compiled for this request
  5: list<Diagnostic> warnings
  6: list<Timing> timings
  7: bool stateful
  8: bool repeatable
}

// Text or object for a person or a tool; nothing is kept for calls.
struct EmitRequest {
  1: i64 request_id
  2: string target
  3: list<FunctionDeclaration> functions
  4: CompileOptions options
  5: binary ir
  6: Emit emit
  7: i32 deadline_ms = 0
  8: i32 sm = 0                      // cuda and cuda32: for which GPU, 90 for sm_90; 0: the farm's. Since 1.2
}

struct EmitReply {
  1: binary code
  2: list<Diagnostic> warnings
  3: list<Timing> timings
}

// An array of a call that lies in a buffer of the session. Since 1.4.
struct FrameBuffer {
  1: i32 position                    // in the frame: of the pointer's cell, or of the array's place
  2: i64 buffer                      // id; in the session's arena, or on the device of the function's target
  3: i64 offset = 0                  // of the first byte (array: of the element with index 0, 0, ...) in it
  4: optional i32 step               // in a chain: all of the array that this step of it made, counted from 0, instead
}

// One call. The memory of the call is `frame` followed by `out_bytes` zero bytes (types/frame.h); pointers in it are
// cells {u32 offset, u32 length} into that memory.
struct CallRequest {
  1: i64 request_id                  // chosen by the client, for cancel and outcome; 0: none
  2: i64 function_id
  3: binary frame
  4: optional i32 deadline_ms        // relative; absent: the farm's call deadline
  5: optional i32 out_bytes          // zero bytes behind `frame`
  6: optional i32 return_from        // memory from this offset on comes back as `data`; absent: none
  7: optional bool profile           // the reply says where the time went
  8: optional list<FrameBuffer> buffers  // in ascending order of position; since 1.4
  9: optional string keep            // array results stay as new buffers with this name, which may be empty; since 1.4
}

// A call (CallRequest) that does once more what a request with arrays in buffers did: a map, which neither keeps nor
// makes its result, or a launch. Good until one of its buffers or the function's module goes; for this session's calls on
// any way. Since 1.4.
struct ReadyCall {
  1: i64 function_id
  2: binary frame
}

struct CallReply {
  1: binary result                   // result_size bytes; a string: cell {u32 offset, u32 length} into data; an array: its
                                     // place {u64 offset into data, i64 shape[n], i64 strides[n]}
  2: optional i32 status             // of a status_retptr function; absent: 0
  3: optional binary data            // returned memory, then a returned string
  4: optional binary output          // what the function printed
  // Nanoseconds, where the request asked for them.
  5: optional i64 queue_ns           // in the farm before and after the rest; absent: the worker read the call itself
  6: optional i64 upload_ns          // to a device
  7: optional i64 kernel_ns          // the function itself
  8: optional i64 download_ns        // from a device
  9: optional list<BufferInfo> kept  // what array results stay as, with `keep`, in their order; since 1.4
  10: optional ReadyCall ready       // of a launch that asked, and can be repeated so; since 1.4
}

// A column of a map: one value of each row, as they lie in a frame (a bool is a byte). Row r begins at byte r * stride
// of `data`.
struct Column {
  1: string dtype                    // the parameter's type, "float64"
  2: binary data
  3: i64 stride                      // bytes from row to row; 0: one value for all rows
}

struct MapRequest {
  1: i64 request_id
  2: i64 function_id
  3: i64 rows
  4: list<Column> columns            // one a parameter
  5: optional i32 deadline_ms
}

struct MapReply {
  1: Column result                   // of all rows, side by side; a void function's has no data
  2: optional i32 status             // of the first row that failed; absent: 0
  3: optional i64 row                // which one that is
  4: optional binary output
}

// An n-dimensional array: elements as they lie in a frame (a bool is a byte), at byte offset + sum(index[d] *
// strides[d]) of a buffer of the session or, without one, of `data`. Strides may be 0 or negative.
struct ArrayRef {
  1: string dtype                    // "float64"
  2: list<i64> shape                 // empty: one value
  3: list<i64> strides               // bytes; as many as shape
  4: optional i64 buffer             // id
  5: i64 offset = 0                  // of the element with index 0, 0, ...
  6: optional binary data
  7: optional i32 step               // in a chain: the array that this step of it made, counted from 0; since 1.3
}

// An array that stays between calls, in the session's data arena: docs/data.md.
struct BufferSpec {
  1: string dtype                    // "float64"; a plain value without pointers
  2: list<i64> shape                 // empty: one value
  3: bool fortran = false            // the first dimension is innermost, else the last
  4: optional string name            // for people
  5: optional string target          // "cuda", "cuda:1": it lies in the memory of that device; since 1.3
}

struct BufferInfo {
  1: i64 id
  2: string name
  3: string dtype
  4: list<i64> shape
  5: list<i64> strides               // bytes
  6: i64 offset                      // in the arena; of one on a device 0
  7: i64 bytes
  8: optional string target          // the device that it lies on; absent: the arena. Since 1.3
}

// The session's data arena. The descriptor to map comes with the reply.
struct ArenaReply {
  1: i64 size                        // bytes to map
}

// Of exp, log, sin, ... on host; docs/vector-maths.md. Precise is libm row by row.
enum MathAccuracy { Fast = 0, Accurate = 1, Precise = 2 }

// A function for each element of arrays that stretch to one shape by NumPy's rules.
struct ArrayMapRequest {
  1: i64 request_id
  2: i64 function_id
  3: list<ArrayRef> inputs           // one a parameter, of its very type
  4: optional ArrayRef into          // of the result's type and shape. With data: what it held before; with neither
                                     // buffer nor data: a new array of this shape
  5: optional ArrayRef where         // bool: elements where it is false are not computed and keep what `into` held
  6: MathAccuracy accuracy = MathAccuracy.Fast
  7: optional i32 deadline_ms
  8: optional string keep            // the result stays as a new buffer with this name, which may be empty; since 1.3
  9: optional bool profile           // the reply says where the time went; since 1.3
  10: optional bool ready            // the reply may tell how to repeat this as a call; since 1.4
}

// An associative function of two values of one type, over all elements or along an axis.
struct ArrayReduceRequest {
  1: i64 request_id
  2: i64 function_id
  3: ArrayRef input
  4: optional i32 axis               // negative: from the last one; absent: over all elements in C order
  5: optional binary identity        // one element: the result where there is no other
  6: bool ordered = false            // strictly first to last; else in a fixed tree of the farm's choice
  7: optional ArrayRef into
  8: MathAccuracy accuracy = MathAccuracy.Fast
  9: optional i32 deadline_ms
  10: optional string keep           // the result stays as a new buffer with this name, which may be empty; since 1.3
  11: optional bool profile          // the reply says where the time went; since 1.3
}

// Element i of the result is the reduction of elements 0 to i along the axis.
struct ArrayScanRequest {
  1: i64 request_id
  2: i64 function_id
  3: ArrayRef input
  4: optional i32 axis               // absent: of a flat array in C order
  5: optional ArrayRef into
  6: MathAccuracy accuracy = MathAccuracy.Fast
  7: optional i32 deadline_ms
  8: optional string keep            // the result stays as a new buffer with this name, which may be empty; since 1.3
  9: optional bool profile           // the reply says where the time went; since 1.3
}

struct ArrayReply {
  1: ArrayRef result                 // with its data, or as `into` names it; a void function's has neither
  2: optional i32 status             // of the first element that failed; absent: 0
  3: optional i64 row                // which one that is, in C order; of maps
  4: optional binary output
  // Nanoseconds, where the request asked for them; since 1.3.
  5: optional i64 compile_ns         // of code for such arrays, where this request waited for it
  6: optional i64 queue_ns           // in the farm before and after the rest
  7: optional i64 upload_ns          // to a device
  8: optional i64 kernel_ns          // the function over the elements
  9: optional i64 download_ns        // from a device
  10: optional BufferInfo kept       // what the result stays as, with `keep`; since 1.3
  11: optional ReadyCall ready       // where the request asked, and it can be repeated so; since 1.4
}

// A grid of threads that run a function with abi Kernel. Grid and block have 1 to 3 dimensions.
struct LaunchRequest {
  1: i64 request_id
  2: i64 function_id
  3: list<i32> grid                  // blocks
  4: list<i32> block                 // threads of a block
  5: i32 shared_bytes = 0            // for each block, beside what the kernel declares
  6: binary frame                    // as in CallRequest
  7: optional i32 deadline_ms
  8: optional i32 out_bytes
  9: optional i32 return_from
  10: optional bool profile          // the reply says where the time went; since 1.3
  11: optional list<FrameBuffer> buffers  // as in CallRequest; since 1.4
  12: optional bool ready            // the reply may tell how to repeat this as a call; since 1.4
}

struct CallOutcome {
  1: optional CallReply reply
  2: optional FarmError error
}

// One of these. Its arrays may be what earlier steps made (ArrayRef.step).
struct ChainStep {
  1: optional CallRequest call
  2: optional ArrayMapRequest map_arrays
  3: optional ArrayReduceRequest reduce_array
  4: optional ArrayScanRequest scan_array
  5: optional LaunchRequest launch
  6: optional bool drop              // its array is for later steps alone: it neither comes back nor stays
}

// Steps that run in order. What needs the result of one that failed does not run and has its error; others do.
struct ChainRequest {
  1: i64 request_id                  // cancels all of it
  2: list<ChainStep> steps
  3: optional i32 deadline_ms        // of the whole chain
}

// Of one step: its reply, or its error.
struct ChainOutcome {
  1: optional CallReply call
  2: optional ArrayReply array
  3: optional FarmError error
}

// A lane of a worker, in shared memory: docs/protocol.md, "Direct rings". The descriptor to map comes with the reply.
struct RingReply {
  1: i32 layout                      // of the memory; this is 2
  2: i64 size                        // bytes to map
  3: i32 lanes                       // in the memory
  4: i32 lane                        // the one that is this connection's until it closes
}

struct PublishRequest {
  1: i64 module_id
  2: i64 function_id
  3: string name                     // in the session's namespace
  4: optional i64 expires_ms         // from now; absent: until withdrawn
}

struct PublishedFunction {
  1: string name
  2: string owner
  3: FunctionInfo info           // loaded for this session by lookup
  4: binary handle
  5: string target
  6: i64 module_id
}

struct FarmStatus {
  1: string farm_id
  2: string farm_version
  3: string llvm_version
  4: i64 pid
  5: i64 uptime_ms
  6: string json                     // everything: sessions, workers, store, sandbox; keys in docs/operations.md
}

service Farm {
  HelloReply hello(1: HelloRequest request) throws (1: FarmError error)
  HelloReply attach(1: AttachRequest request) throws (1: FarmError error)
  // Ends the session at once: names, modules and workers of it are released.
  void bye() throws (1: FarmError error)
  list<TargetInfo> targets() throws (1: FarmError error)
  CompileReply compile(1: CompileRequest request) throws (1: FarmError error)
  EmitReply emit(1: EmitRequest request) throws (1: FarmError error)
  CallReply call(1: CallRequest request) throws (1: FarmError error)
  // Runs the calls in order; an error of one does not stop the others.
  list<CallOutcome> call_batch(1: list<CallRequest> requests) throws (1: FarmError error)
  // Runs a function for each row. What that needs is compiled at the first map.
  MapReply map_rows(1: MapRequest request) throws (1: FarmError error)
  CallReply launch(1: LaunchRequest request) throws (1: FarmError error)
  // One outcome a step. Since 1.3.
  list<ChainOutcome> chain(1: ChainRequest request) throws (1: FarmError error)
  ArrayReply map_arrays(1: ArrayMapRequest request) throws (1: FarmError error)
  ArrayReply reduce_array(1: ArrayReduceRequest request) throws (1: FarmError error)
  ArrayReply scan_array(1: ArrayScanRequest request) throws (1: FarmError error)
  void unload(1: i64 module_id) throws (1: FarmError error)
  void publish(1: PublishRequest request) throws (1: FarmError error)
  void withdraw(1: string name) throws (1: FarmError error)
  PublishedFunction lookup(1: string name) throws (1: FarmError error)
  // The stored IR of a module of this session, as it was sent.
  binary get_ir(1: i64 module_id) throws (1: FarmError error)
  // Stops the running or queued request of this session; over any connection of it. False: no such request.
  bool cancel(1: i64 request_id) throws (1: FarmError error)
  // What became of a call whose connection broke before the reply: its error, or UnknownName if it never started.
  CallOutcome outcome(1: i64 request_id) throws (1: FarmError error)
  FarmStatus status() throws (1: FarmError error)
  // Over Unix sockets: a lane of the worker that runs this function, for calls without the kernel. Unsupported where the
  // farm gives none, Busy where none is free. A connection has one at a time.
  RingReply ring(1: i64 function_id) throws (1: FarmError error)
  // What the connection's lane cannot hold: the framed reply of its call, or why the call ended.
  binary ring_reply() throws (1: FarmError error)
  // Its bytes are what they happen to be.
  BufferInfo buffer_create(1: BufferSpec spec) throws (1: FarmError error)
  // Its memory goes to others as soon as nothing works on it.
  void buffer_free(1: i64 id) throws (1: FarmError error)
  // Copies all elements from one array in a buffer to another of the same type and shape, wherever the buffers lie.
  // Since 1.3.
  void buffer_copy(1: ArrayRef source, 2: ArrayRef destination) throws (1: FarmError error)
  list<BufferInfo> buffers() throws (1: FarmError error)
  BufferInfo buffer_info(1: i64 id) throws (1: FarmError error)
  // Fills the buffer from an array of the session with this digest of its elements in C order, which were sent before.
  // False: send them. Since 1.3.
  bool buffer_recall(1: i64 id, 2: binary digest) throws (1: FarmError error)
  // Over Unix sockets: the memory of all buffers of the session. Unsupported where the farm shares none.
  ArenaReply arena() throws (1: FarmError error)
}
