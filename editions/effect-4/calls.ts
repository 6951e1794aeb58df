/**
 * Calls that have another form in Effect 4, by the export of Effect 3 that is called.
 */
import ts from "typescript"
import type { Translation } from "./translate.js"

type Change = (call: ts.CallExpression, file: Translation) => string | undefined

const typeArguments = (call: ts.CallExpression, file: Translation): string =>
  call.typeArguments === undefined ? "" : `<${file.list(call.typeArguments)}>`

/** The same call without its arguments. */
const withoutArguments: Change = (call, file) => `${file.write(call.expression)}${typeArguments(call, file)}()`

/** Several arguments become one list. */
const listed = (name?: string): Change => (call, file) =>
  call.arguments.length === 0 ||
    ts.isSpreadElement(call.arguments[0]!) && call.arguments.length === 1 && name === undefined
    ? undefined
    : name !== undefined && call.arguments.length === 1 && !ts.isSpreadElement(call.arguments[0]!)
    ? undefined
    : `${name === undefined ? file.write(call.expression) : `${file.module("effect/Schema", call)}.${name}`}([${
      file.list(call.arguments)
    }])`

/** An object of functions whose names changed. */
const renamedKeys = (
  keys: Readonly<Record<string, string>>,
  name: string | undefined,
  value: (key: string, node: ts.Expression, file: Translation) => string = (_, node, file) => file.write(node)
): Change =>
(call, file) => {
  const argument = (node: ts.Expression): string => {
    if (!ts.isObjectLiteralExpression(node)) {
      return file.write(node)
    }
    const written = node.properties.map((property) => {
      const key = property.name !== undefined && ts.isIdentifier(property.name) ? property.name.text : undefined
      const renamed = key === undefined ? undefined : keys[key]
      return renamed === undefined || key === undefined || !ts.isPropertyAssignment(property)
        ? file.write(property)
        : `${renamed}: ${value(key, property.initializer, file)}`
    })
    const text = node.getText()
    return text.startsWith("{\n") || node.properties.length > 1 && text.includes("\n")
      ? `{\n${written.join(",\n")}\n}`
      : `{ ${written.join(", ")} }`
  }
  const callee = name === undefined ? file.write(call.expression) : name
  return `${callee}${typeArguments(call, file)}(${call.arguments.map(argument).join(", ")})`
}

/** The name of the variable or property that a call initializes. */
const nameOfValue = (call: ts.CallExpression): string => {
  for (let at: ts.Node = call; at.parent !== undefined; at = at.parent) {
    if (ts.isVariableDeclaration(at.parent) && ts.isIdentifier(at.parent.name)) {
      return at.parent.name.text
    }
  }
  return "reference"
}

/** Without options that Effect 4 does not have. */
const withoutKeys = (...names: ReadonlyArray<string>): Change => (call, file) => {
  const isKept = ({ name }: ts.ObjectLiteralElementLike): boolean =>
    name === undefined || !ts.isIdentifier(name) || !names.includes(name.text)
  const isWhole = (node: ts.Expression): boolean => !ts.isObjectLiteralExpression(node) || node.properties.every(isKept)
  if (call.arguments.every(isWhole)) {
    return undefined
  }
  const written = call.arguments.flatMap((node) => {
    const kept = ts.isObjectLiteralExpression(node) ? node.properties.filter(isKept) : []
    return isWhole(node) ? [file.write(node)] : kept.length === 0 ? [] : [`{ ${file.list(kept)} }`]
  })
  return `${file.write(call.expression)}${typeArguments(call, file)}(${written.join(", ")})`
}

/** The first argument, as the body of an arrow function. */
const initial = (call: ts.CallExpression, file: Translation): string => {
  const written = file.list(call.arguments.slice(0, 1))
  return written.startsWith("{") ? `(${written})` : written
}

/** What was given by a function of its own is given as the service of a tag: `Effect.withClock`. */
const provided = (module: string, name: string): Change => (call, file) => {
  const { arguments: given } = call
  const last = given.length - 1
  return last < 0
    ? undefined
    : `${file.module("effect/Effect", call)}.provideService(${
      [
        ...given.slice(0, last).map((argument) => file.write(argument)),
        `${file.module(module, call)}.${name}`,
        file.write(given[last]!)
      ].join(", ")
    })`
}

/** A method that gives `undefined` where it gave null. */
const nullFor = (name: string): Change => (call, file) => {
  const { expression, parent } = call
  if (!ts.isPropertyAccessExpression(expression)) {
    return undefined
  }
  const called = `${file.write(expression.expression)}.${name}()`
  return ts.isBinaryExpression(parent)
    ? `(${called} ?? null)`
    : ts.isCallExpression(parent)
    ? `${called} ?? null`
    : called
}

/** A method becomes a function of a module. */
const functionOf = (module: string, name: string): Change => (call, file) =>
  ts.isPropertyAccessExpression(call.expression)
    ? `${file.module(module, call)}.${name}(${file.list([call.expression.expression, ...call.arguments])})`
    : undefined

/** The only argument, as the left side of an access. */
const operand = (call: ts.CallExpression, file: Translation): string => {
  const [argument] = call.arguments
  const written = file.list(call.arguments)
  return argument !== undefined && ts.isConditionalExpression(argument) ? `(${written})` : written
}

/** What the reasons of one kind hold, of a cause. */
const reasons = (test: string, field: string): Change => (call, file) =>
  `${operand(call, file)}.reasons.filter(${file.module("effect/Cause", call)}.${test}).map(({ ${field} }) => ${field})`

/** A metric with an attribute. */
const tagged: Change = (call, file) => {
  const value = call.arguments.at(-1)
  const key = call.arguments.at(-2)
  return key === undefined || value === undefined ?
    undefined :
    `${file.module("effect/Metric", call)}.withAttributes(${
      [
        ...call.arguments.slice(0, -2).map((argument) => file.write(argument)),
        `{ ${ts.isStringLiteral(key) ? file.write(key) : `[${file.write(key)}]`}: ${file.write(value)} }`
      ].join(", ")
    })`
}

export const calls: Readonly<Record<string, Change>> = {
  "@effect/cli/Args.text": (call, file) => {
    const [options] = call.arguments
    const name = options !== undefined && ts.isObjectLiteralExpression(options) ? options.properties[0] : undefined
    return name === undefined || !ts.isPropertyAssignment(name) || name.name.getText() !== "name"
      ? undefined
      : `${file.module("effect/cli/Argument", call)}.String(${file.write(name.initializer)})`
  },
  // One that is not given is false in Effect 3.
  "@effect/cli/Options.boolean": (call, file) =>
    `${file.module("effect/cli/Flag", call)}.withDefault(${file.unchanged(call)}, false)`,
  "@effect/platform-node/NodeRuntime.runMain": withoutKeys("disablePrettyLogger"),
  "effect/Cause.dieOption": (call, file) =>
    `${file.module("effect/Result", call)}.getSuccess(${file.module("effect/Cause", call)}.findDefect(${
      file.list(call.arguments)
    }))`,
  "effect/Cause.defects": reasons("isDieReason", "defect"),
  "effect/Cause.failures": reasons("isFailReason", "error"),
  // Causes of errors are always shown in Effect 4.
  "effect/Cause.pretty": (call, file) => `${file.write(call.expression)}(${file.list(call.arguments.slice(0, 1))})`,
  "effect/Cause.isEmpty": (call, file) => `${operand(call, file)}.reasons.length === 0`,
  // The types come before the name.
  "effect/Context.Tag()": (call, file) =>
    ts.isCallExpression(call.expression)
      ? `${file.module("effect/Context", call)}.Service${typeArguments(call, file)}()(${
        file.list(call.expression.arguments)
      })`
      : undefined,
  "effect/ConfigProvider#ConfigProvider.load": (call, file) =>
    ts.isPropertyAccessExpression(call.expression)
      ? `${file.list(call.arguments)}.parse(${file.write(call.expression.expression)})`
      : undefined,
  "effect/Config.mapOrFail": (call, file) => {
    const [config, decide] = call.arguments
    return config === undefined || decide === undefined || !ts.isArrowFunction(decide) || ts.isBlock(decide.body)
      ? undefined
      : `${file.module("effect/Config", call)}.mapEffect(${file.write(config)}, (${file.list(decide.parameters)}) => ${
        file.module("effect/Effect", call)
      }.fromResult(${file.write(decide.body)}))`
  },
  "effect/Config.zipWith": (call, file) => {
    const [left, right, combine] = call.arguments
    if (left === undefined || right === undefined || combine === undefined || !ts.isArrowFunction(combine)) {
      return undefined
    }
    const config = file.module("effect/Config", call)
    return `${config}.map(${config}.all([${file.list([left, right])}]), ([${file.list(combine.parameters)}]) => ${
      file.write(combine.body)
    })`
  },
  "effect/ConfigProvider.orElse": (call, file) =>
    `${file.module("effect/ConfigProvider", call)}.orElse(${
      call.arguments.map((argument) =>
        ts.isArrowFunction(argument) && argument.parameters.length === 0
          ? file.write(argument.body)
          : file.write(argument)
      ).join(", ")
    })`,
  "effect/Deferred.unsafeMake": withoutArguments,
  "effect/Effect.dieMessage": (call, file) =>
    `${file.module("effect/Effect", call)}.die(new Error(${file.list(call.arguments)}))`,
  "effect/Duration.decodeUnknown": (call, file) =>
    `${file.module("effect/Duration", call)}.fromInput(${file.list(call.arguments)} as ${
      file.module("effect/Duration", call)
    }.Input)`,
  "effect/Effect.forkAll": (call, file) => {
    const effect = file.module("effect/Effect", call)
    return `${effect}.forkChild(${effect}.all(${file.list(call.arguments)}, { concurrency: "unbounded" }))`
  },
  // Requests are always batched in Effect 4.
  "effect/Effect.all": withoutKeys("batching"),
  "effect/Effect.forEach": withoutKeys("batching"),
  "effect/Effect.configProviderWith": (call, file) =>
    `${file.module("effect/Effect", call)}.flatMap(${file.module("effect/ConfigProvider", call)}.ConfigProvider, ${
      file.list(call.arguments)
    })`,
  "effect/Effect.logWithLevel": (call, file) => {
    const [level, ...message] = call.arguments
    return level === undefined
      ? undefined
      : `${file.module("effect/Effect", call)}.logWithLevel(${file.write(level)})(${file.list(message)})`
  },
  "effect/Effect.locally": (call, file) => {
    const [effect, reference, value] = call.arguments
    return effect === undefined || reference === undefined || value === undefined ||
        file.exportOf(reference) !== "effect/FiberRef.currentContext"
      ? undefined
      : `${file.module("effect/Effect", call)}.provideContext(${file.list([effect, value])})`
  },
  "effect/Effect.gen": (call, file) => {
    const [self, ...rest] = call.arguments
    return self?.kind !== ts.SyntaxKind.ThisKeyword
      ? undefined
      : `${file.module("effect/Effect", call)}.gen({ self: this }, ${file.list(rest)})`
  },
  "effect/Effect.makeSpanScoped": withoutKeys("captureStackTrace"),
  "effect/Effect.runSync": (call, file) => {
    const [effect] = call.arguments
    return effect !== undefined && ts.isPropertyAccessExpression(effect) &&
        file.declaredAs(effect.name).includes("effect/Random#Random.next")
      ? `${file.write(effect.expression)}.nextDoubleUnsafe()`
      : undefined
  },
  "effect/Effect.useSpan": withoutKeys("captureStackTrace"),
  "effect/Effect.yieldNow": (call, file) => file.write(call.expression),
  "effect/Effect.merge": (call, file) =>
    `${file.module("effect/Effect", call)}.match(${
      file.list(call.arguments)
    }, { onFailure: (error) => error, onSuccess: (value) => value })`,
  "effect/Effect.repeatN": (call, file) =>
    `${file.module("effect/Effect", call)}.repeat(${
      call.arguments.map((argument, index) =>
        index === call.arguments.length - 1 ? `{ times: ${file.write(argument)} }` : file.write(argument)
      ).join(", ")
    })`,
  "effect/Effect.timeoutFail": (call, file) =>
    renamedKeys(
      { onTimeout: "orElse" },
      `${file.module("effect/Effect", call)}.timeoutOrElse`,
      (_, node) =>
        `() => ${file.module("effect/Effect", call)}.fail(${
          ts.isArrowFunction(node) && !ts.isBlock(node.body) ? file.write(node.body) : `${file.write(node)}()`
        })`
    )(call, file),
  "effect/Either.match": renamedKeys({ onLeft: "onFailure", onRight: "onSuccess" }, undefined),
  "effect/FiberRef.get": (call, file) => file.list(call.arguments),
  "effect/FiberRef.unsafeMake": (call, file) =>
    `${file.module("effect/Context", call)}.Reference${typeArguments(call, file)}("dblive/${
      nameOfValue(call)
    }", { defaultValue: () => ${initial(call, file)} })`,
  "effect/Fiber#RuntimeFiber.id": (call, file) => file.write(call.expression),
  "effect/Fiber#RuntimeFiber.unsafeInterruptAsFork": withoutArguments,
  "effect/Effect.catchTag": (call, file) => {
    const [tag, ...rest] = call.arguments
    return tag !== undefined && ts.isStringLiteral(tag) && tag.text === "ParseError"
      ? `${file.write(call.expression)}("SchemaError", ${file.list(rest)})`
      : undefined
  },
  // A queue of notifications in Effect 4.
  "@effect/sql-pg/PgClient#PgClient.listen": (call, file) => {
    const stream = file.module("effect/Stream", call)
    return `${stream}.map(${stream}.unwrap(${file.module("effect/Effect", call)}.map(${
      file.unchanged(call)
    }, ${stream}.fromQueue)), ({ payload }) => payload)`
  },
  // Only the default one is ever removed.
  "effect/Logger.remove": (call, file) => `${file.module("effect/Logger", call)}.layer([])`,
  // It gives no exit in Effect 4.
  "effect/Fiber.interrupt": (call, file) =>
    ts.isYieldExpression(call.parent) && ts.isExpressionStatement(call.parent.parent)
      ? undefined
      : `${file.module("effect/Effect", call)}.andThen(${file.unchanged(call)}, ${
        file.module("effect/Fiber", call)
      }.await(${file.list(call.arguments)}))`,
  // Of a fiber that runs, null in Effect 3.
  "effect/Fiber#RuntimeFiber.unsafePoll": nullFor("pollUnsafe"),
  "effect/Layer.fail": (call, file) =>
    `${file.module("effect/Layer", call)}.effectContext(${file.module("effect/Effect", call)}.fail(${
      file.list(call.arguments)
    }))`,
  "effect/Layer.setConfigProvider": (call, file) =>
    `${file.module("effect/ConfigProvider", call)}.layer(${file.list(call.arguments)})`,
  "effect/Layer.setTracer": (call, file) =>
    `${file.module("effect/Layer", call)}.succeed(${file.module("effect/Tracer", call)}.Tracer, ${
      file.list(call.arguments)
    })`,
  "effect/Logger.withMinimumLogLevel": provided("effect/References", "MinimumLogLevel"),
  "effect/Logger.minimumLogLevel": (call, file) =>
    `${file.module("effect/Layer", call)}.succeed(${file.module("effect/References", call)}.MinimumLogLevel, ${
      file.list(call.arguments)
    })`,
  "effect/Logger.replace": (call, file) =>
    `${file.module("effect/Logger", call)}.layer([${file.list(call.arguments.slice(1))}])`,
  "effect/Logger.add": (call, file) =>
    `${file.module("effect/Logger", call)}.layer([${file.list(call.arguments)}], { mergeWithExisting: true })`,
  "effect/ConfigProvider.fromMap": (call, file) => {
    const provider = file.module("effect/ConfigProvider", call)
    const variables = `Object.fromEntries(${file.list(call.arguments.slice(0, 1))})`
    // Names of several words are those of an environment.
    return /pathDelim: "_"/.test(call.arguments[1]?.getText() ?? "")
      ? `${provider}.fromEnv({ env: ${variables} })`
      : `${provider}.fromUnknown(${variables})`
  },
  "effect/Effect.withClock": provided("effect/Clock", "Clock"),
  "effect/Effect.withConfigProvider": provided("effect/ConfigProvider", "ConfigProvider"),
  "effect/Effect.withMaxOpsBeforeYield": provided("effect/References", "MaxOpsBeforeYield"),
  "effect/Effect.withTracer": provided("effect/Tracer", "Tracer"),
  "effect/Effect.withConsole": provided("effect/Console", "Console"),
  "effect/Fiber.poll": (call, file) =>
    `${file.module("effect/Effect", call)}.sync(() => ${file.module("effect/Option", call)}.fromNullishOr(${
      file.list(call.arguments)
    }.pollUnsafe()))`,
  "effect/Mailbox#Mailbox.offer": functionOf("effect/Queue", "offer"),
  "effect/Mailbox#Mailbox.unsafeOffer": functionOf("effect/Queue", "offerUnsafe"),
  "effect/Mailbox#Mailbox.fail": functionOf("effect/Queue", "fail"),
  "effect/Mailbox#Mailbox.unsafeDone": functionOf("effect/Queue", "doneUnsafe"),
  "effect/Queue#Enqueue.offer": functionOf("effect/Queue", "offer"),
  "effect/Queue#Enqueue.unsafeOffer": functionOf("effect/Queue", "offerUnsafe"),
  "effect/Fiber.interruptFork": (call, file) =>
    `${file.module("effect/Effect", call)}.forkDetach(${file.module("effect/Fiber", call)}.interrupt(${
      file.list(call.arguments)
    }))`,
  "effect/Metric.tagged": tagged,
  "effect/MetricKey.tagged": tagged,
  "effect/Metric.fromMetricKey": (call, file) => file.list(call.arguments),
  "effect/Metric#Metric.unsafeUpdate": (call, file) =>
    ts.isPropertyAccessExpression(call.expression)
      ? `${file.write(call.expression.expression)}.updateUnsafe(${file.list(call.arguments)})`
      : undefined,
  "effect/Metric#Metric.unsafeValue": (call, file) =>
    ts.isPropertyAccessExpression(call.expression)
      ? `${file.write(call.expression.expression)}.valueUnsafe(${file.list(call.arguments)})`
      : undefined,
  // The end is among the numbers in Effect 4.
  "effect/Random.nextIntBetween": (call, file) =>
    `${file.write(call.expression)}(${file.list(call.arguments)}, { halfOpen: true })`,
  "effect/Schedule.intersect": listed(),
  "effect/Schedule.union": listed(),
  "effect/Schedule.modifyDelayEffect": (call, file) => {
    const [schedule, change] = call.arguments
    if (schedule === undefined || change === undefined || !ts.isArrowFunction(change)) {
      return undefined
    }
    const delay = change.parameters[1]
    return `${file.module("effect/Schedule", call)}.modifyDelay(${file.write(schedule)}, ({ duration: ${
      delay === undefined ? "_" : file.write(delay)
    } }) => ${file.write(change.body)})`
  },
  "effect/Schedule.whileInput": (call, file) => {
    const [decide] = call.arguments
    if (decide === undefined || !ts.isArrowFunction(decide) || call.arguments.length > 1) {
      return undefined
    }
    const [input] = decide.parameters
    return input === undefined || input.type === undefined || !ts.isIdentifier(input.name)
      ? undefined
      : `${file.module("effect/Schedule", call)}.while(({ input: ${file.write(input.name)} }: { readonly input: ${
        file.write(input.type)
      } }) => ${file.write(decide.body)})`
  },
  "effect/Struct.omit": (call, file) =>
    call.arguments.length < 2
      ? undefined
      : `${file.module("effect/Struct", call)}.omit(${file.write(call.arguments[0]!)}, [${
        file.list(call.arguments.slice(1))
      }])`,
  "effect/Stream.decodeText": (call, file) =>
    call.arguments.length === 1
      ? `${file.module("effect/Stream", call)}.decodeText({ encoding: ${file.list(call.arguments)} })`
      : undefined,
  "effect/Stream.runFoldEffect": (call, file) => {
    const [stream, start, ...rest] = call.arguments
    return stream === undefined || start === undefined || rest.length === 0
      ? undefined
      : `${file.module("effect/Stream", call)}.runFoldEffect(${file.write(stream)}, () => (${file.write(start)}), ${
        file.list(rest)
      })`
  },
  "effect/Utils.structuralRegion": (call, file) => {
    const [region] = call.arguments
    return region !== undefined && ts.isArrowFunction(region) && !ts.isBlock(region.body)
      ? file.write(region.body)
      : undefined
  },
  "effect/Schema.Literal": listed("Literals"),
  "effect/Schema.Union": listed()
}
