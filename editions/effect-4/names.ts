/**
 * The names of Effect 3 that are others in Effect 4. A name that is not here is the same in both.
 *
 * A value is a name in the same module, `module.name` for one in another module (`src/...` for a module of the overlay), or an
 * expression in quotes.
 */

/** Modules, by the name under which they are imported. */
export const modules: Readonly<Record<string, string>> = {
  "effect/Either": "effect/Result",
  "effect/ConfigError": "src/internal/effect/ConfigError.js",
  "effect/FiberRef": "effect/Context",
  "effect/GlobalValue": "src/internal/effect/globalValue.js",
  "effect/Mailbox": "effect/Queue",
  "effect/ParseResult": "effect/SchemaIssue",
  "effect/MetricKey": "effect/Metric",
  "effect/Runtime": "effect/Effect",
  "effect/TestClock": "effect/testing/TestClock",
  "@effect/cli/Args": "effect/cli/Argument",
  "@effect/cli/Command": "effect/cli/Command",
  "@effect/cli/Options": "effect/cli/Flag",
  "@effect/cli/Prompt": "effect/cli/Prompt",
  "@effect/experimental/Reactivity": "effect/reactivity/Reactivity",
  "@effect/experimental/VariantSchema": "effect/schema/VariantSchema",
  "@effect/platform/Error": "effect/PlatformError",
  "@effect/platform/FileSystem": "effect/FileSystem",
  "@effect/platform/HttpApi": "effect/http-api/HttpApi",
  "@effect/platform/HttpApiBuilder": "effect/http-api/HttpApiBuilder",
  "@effect/platform/HttpApiEndpoint": "effect/http-api/HttpApiEndpoint",
  "@effect/platform/HttpApiGroup": "effect/http-api/HttpApiGroup",
  "@effect/platform/HttpApiSchema": "effect/http-api/HttpApiSchema",
  "@effect/platform/Etag": "effect/http/Etag",
  "@effect/platform/Headers": "effect/http/Headers",
  "@effect/platform/HttpApiClient": "effect/http-api/HttpApiClient",
  "@effect/platform/HttpBody": "effect/http/HttpBody",
  "@effect/platform/HttpClient": "effect/http/HttpClient",
  "@effect/platform/HttpLayerRouter": "effect/http/HttpRouter",
  "@effect/platform/HttpMiddleware": "effect/http/HttpMiddleware",
  "@effect/platform/HttpServer": "effect/http/HttpServer",
  "@effect/platform/HttpServerRequest": "effect/http/HttpServerRequest",
  "@effect/platform/HttpServerResponse": "effect/http/HttpServerResponse",
  "@effect/platform/OpenApi": "effect/http-api/OpenApi",
  "@effect/platform/Path": "effect/Path",
  "@effect/sql": "effect/sql",
  // Their clients are the package's own.
  "@effect/sql-mssql/MssqlClient": "src/driver/Mssql.js",
  "@effect/sql-mssql/Procedure": "test/kit/procedure.js",
  "@effect/sql-mysql2/MysqlClient": "src/driver/Mysql.js",
  "@effect/sql/Model": "effect/schema/Model",
  "@effect/sql/Migrator": "effect/sql/Migrator",
  "@effect/sql/SqlClient": "effect/sql/SqlClient",
  "@effect/sql/SqlConnection": "effect/sql/SqlConnection",
  "@effect/sql/SqlError": "effect/sql/SqlError",
  "@effect/sql/SqlResolver": "effect/sql/SqlResolver",
  "@effect/sql/SqlSchema": "effect/sql/SqlSchema",
  "@effect/sql/Statement": "effect/sql/Statement",
  "@effect/platform-node/NodeContext": "@effect/platform-node/NodeServices"
}

/** Exports, by their module. */
export const members: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "effect/Exit": { isInterrupted: "hasInterrupts" },
  "effect/Logger": {
    jsonLogger: "formatJson",
    logfmtLogger: "formatLogFmt",
    stringLogger: "formatSimple",
    structuredLogger: "formatStructured"
  },
  "@effect/vitest/utils": { assertLeft: "assertFailure", assertRight: "assertSuccess" },
  "@effect/vitest/it": { scoped: "effect", scopedLive: "live" },
  "effect/BigDecimal": { unsafeFromString: "fromStringUnsafe", safeFromNumber: "fromNumber" },
  "effect/Cause": {
    isDie: "hasDies",
    failureOption: "findErrorOption",
    isInterrupted: "hasInterrupts",
    isInterruptedOnly: "hasInterruptsOnly",
    parallel: "combine"
  },
  "effect/ParseResult": { ParseError: "effect/Schema.SchemaError" },
  "effect/Chunk": { unsafeHead: "headUnsafe", unsafeFromArray: "fromArrayUnsafe" },
  "effect/Config": {
    "Config.Wrap": "Wrap",
    duration: "Duration",
    integer: "Int",
    mapOrFail: "mapEffect",
    nonEmptyString: "NonEmptyString",
    redacted: "Redacted",
    string: "String"
  },
  "effect/ConfigProvider": { fromJson: "fromUnknown" },
  "effect/Context": {
    GenericTag: "Service",
    TagClass: "ServiceClass",
    Tag: "Service",
    isTag: "isKey",
    unsafeGet: "getUnsafe",
    unsafeMake: "makeUnsafe"
  },
  "effect/DateTime": { unsafeFromDate: "fromDateUnsafe", unsafeMake: "makeUnsafe", unsafeNow: "nowUnsafe" },
  "effect/Deferred": { unsafeDone: "doneUnsafe", unsafeMake: "makeUnsafe" },
  "effect/Duration": { DurationInput: "Input", decode: "fromInputUnsafe", decodeUnknown: "fromInput" },
  "effect/Effect": {
    "Effect.Context": "Services",
    "Effect.Error": "Error",
    "Effect.Success": "Success",
    zipLeft: "tap",
    async: "callback",
    catchAll: "catch",
    catchAllCause: "catchCause",
    clock: "effect/Clock.Clock",
    disconnect: "src/internal/effect/disconnect.js.disconnect",
    either: "result",
    fork: "forkChild",
    forkDaemon: "forkDetach",
    locally: "provideService",
    locallyWith: "updateService",
    mapInputContext: "updateContext",
    random: "effect/Random.Random",
    runtime: "context",
    unsafeMakeLatch: "effect/Latch.makeUnsafe",
    unsafeMakeSemaphore: "effect/Semaphore.makeUnsafe",
    withFiberRuntime: "withFiber",
    zipRight: "andThen"
  },
  "effect/Either": {
    Either: "Result",
    getLeft: "getFailure",
    isEither: "isResult",
    isLeft: "isFailure",
    isRight: "isSuccess",
    left: "fail",
    mapLeft: "mapError",
    right: "succeed"
  },
  "effect/ExecutionStrategy": { parallel: "\"parallel\"", sequential: "\"sequential\"" },
  "effect/Fiber": { RuntimeFiber: "Fiber" },
  "effect/FiberRef": {
    FiberRef: "Reference",
    currentMinimumLogLevel: "effect/References.MinimumLogLevel"
  },
  "effect/Layer": {
    locallyWith: "updateService",
    scoped: "effect",
    scopedContext: "effectContext",
    scopedDiscard: "effectDiscard",
    unwrapEffect: "unwrap",
    unwrapScoped: "unwrap"
  },
  "effect/LogLevel": {
    All: "\"All\"",
    Debug: "\"Debug\"",
    Error: "\"Error\"",
    Info: "\"Info\"",
    None: "\"None\"",
    Warning: "\"Warn\"",
    LogLevel: "Severity",
    greaterThanEqual: "isGreaterThanOrEqualTo"
  },
  "effect/Mailbox": { Mailbox: "Queue", toStream: "effect/Stream.fromQueue" },
  "effect/Metric": {
    "Metric.Counter": "Counter",
    "Metric.Gauge": "Gauge",
    "Metric.Histogram": "Histogram",
    tagged: "withAttributes"
  },
  "effect/Option": { fromNullable: "fromNullishOr" },
  "effect/Runtime": { runFork: "runForkWith", runPromise: "runPromiseWith" },
  "effect/Queue": { takeAll: "clear" },
  "effect/Schedule": { intersect: "max", modifyDelayEffect: "modifyDelay", union: "min" },
  "effect/Schema": {
    BigDecimal: "BigDecimalFromString",
    BigDecimalFromSelf: "BigDecimal",
    BigInt: "BigIntFromString",
    BigIntFromSelf: "BigInt",
    DateFromSelf: "Date",
    DateTimeUtc: "DateTimeUtcFromString",
    DateTimeUtcFromSelf: "DateTimeUtc",
    decode: "decodeEffect",
    decodeEither: "decodeResult",
    decodeUnknown: "decodeUnknownEffect",
    decodeUnknownEither: "decodeUnknownResult",
    Defect: "Defect()",
    encode: "encodeEffect",
    encodeEither: "encodeResult",
    encodeUnknown: "encodeUnknownEffect",
    NonNegativeInt: "Int.check(Schema.isGreaterThanOrEqualTo(0))",
    parseJson: "fromJsonString",
    Schema: "Codec",
    "Schema.Encoded": "Codec.Encoded",
    "Schema.Type": "Schema.Type",
    "Struct.Constructor": "Struct.MakeIn",
    UUID: "String.check(Schema.isUUID())",
    Uint8ArrayFromSelf: "Uint8Array"
  },
  "effect/Scope": { extend: "provide", CloseableScope: "Closeable" },
  "effect/Stream": {
    repeatEffectWithSchedule: "fromEffectSchedule",
    flattenIterables: "flattenIterable",
    mapInputContext: "updateContext",
    unwrapScoped: "unwrap"
  },
  "@effect/platform-node/NodeContext": { NodeContext: "NodeServices" },
  "@effect/platform-node/NodeHttpClient": { layer: "layerNodeHttp" },
  // Its client is `fetch`, which sends no other `Host`.
  "@effect/platform-node/NodeHttpServer": { layerTest: "examples/service/testServer.js.layerTest" },
  "@effect/platform/HttpLayerRouter": { addHttpApi: "effect/http-api/HttpApiBuilder.layer" },
  "@effect/platform/HttpServerResponse": { unsafeJson: "jsonUnsafe", unsafeSetCookie: "setCookieUnsafe" },
  "@effect/cli/Options": {
    Options: "Flag",
    boolean: "Boolean",
    choice: "Literals",
    text: "String",
    withPseudoName: "withMetavar"
  },
  "@effect/cli/Prompt": { confirm: "Confirm", select: "Select" },
  "@effect/sql/Model": { makeRepository: "effect/sql/SqlModel.makeRepository" },
  "@effect/sql/SqlSchema": { findOne: "findOneOption", single: "findOne" },
  // One for each client in Effect 4, and one for all clients of ours.
  "@effect/sql/SqlClient": {
    TransactionConnection: "src/internal/effect/transactionConnection.js.transactionConnection"
  },
  "@effect/sql/Statement": { currentTransformer: "CurrentTransformer" }
}

/** Types whose arguments are others: for each in Effect 4, which one of Effect 3 it is. */
export const typeArguments: Readonly<Record<string, ReadonlyArray<number>>> = {
  // What decoding needs, and what encoding needs.
  "effect/Schema.Schema": [0, 1, 2, 2]
}

/** Properties and methods, by the module and the type that declare them; `*` for any type of a module. */
export const properties: Readonly<Record<string, string>> = {
  "@effect/vitest/index#*.scoped": "effect",
  "@effect/vitest/index#*.scopedLive": "live",
  "effect/Fiber#*.unsafePoll": "pollUnsafe",
  "effect/Clock#Clock.unsafeCurrentTimeMillis": "currentTimeMillisUnsafe",
  "effect/Clock#Clock.unsafeCurrentTimeNanos": "currentTimeNanosUnsafe",
  "effect/Context#Context.unsafeMap": "mapUnsafe",
  "effect/Effect#Latch.unsafeOpen": "openUnsafe",
  "effect/Effect#Latch.unsafeClose": "closeUnsafe",
  "effect/Either#Left.left": "failure",
  "effect/Either#Right.right": "success",
  "effect/LogLevel#*.label": "toUpperCase()",
  "effect/Schema#*.annotations": "annotate",
  "@effect/sql/Statement#Custom.i0": "paramA",
  "@effect/sql/Statement#Custom.i1": "paramB",
  "@effect/sql/Statement#Custom.i2": "paramC",
  "effect/Fiber#RuntimeFiber.currentContext": "context",
  "effect/Fiber#RuntimeFiber.getFiberRef": "getRef",
  "effect/Fiber#RuntimeFiber.unsafeInterruptAsFork": "interruptUnsafe"
}

/** Properties that a function of a module gives: `queue.take` is `Queue.take(queue)`. */
export const functions: Readonly<Record<string, string>> = {
  "effect/Fiber#Fiber.await": "effect/Fiber.await",
  "effect/Mailbox#Mailbox.shutdown": "effect/Queue.shutdown",
  "effect/Mailbox#ReadonlyMailbox.size": "effect/Queue.size",
  "effect/Mailbox#ReadonlyMailbox.take": "effect/Queue.take",
  "effect/Mailbox#ReadonlyMailbox.takeAll": "effect/Queue.takeAll",
  "effect/Queue#BaseQueue.shutdown": "effect/Queue.shutdown",
  "effect/Queue#BaseQueue.size": "effect/Queue.size",
  "effect/Queue#Dequeue.take": "effect/Queue.take",
  // Of an empty queue, nothing: that of Effect 4 waits for something.
  "effect/Queue#Dequeue.takeAll": "effect/Queue.clear"
}

/** What makes an effect of a value whose type is one by itself in Effect 3 alone. */
export const effects: Readonly<Record<string, string>> = {
  Either: "effect/Effect.fromResult",
  Fiber: "effect/Fiber.join",
  RuntimeFiber: "effect/Fiber.join"
}

/** Tags, by the property that has them. */
export const tags: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "effect/Either#Left._tag": { Left: "Failure", Right: "Success" }
}
