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
  value: (key: string, written: string, file: Translation, call: ts.CallExpression) => string = (_, written) => written
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
        : `${renamed}: ${value(key, file.write(property.initializer), file, call)}`
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

/** The first argument, as the body of an arrow function. */
const initial = (call: ts.CallExpression, file: Translation): string => {
  const written = file.list(call.arguments.slice(0, 1))
  return written.startsWith("{") ? `(${written})` : written
}

export const calls: Readonly<Record<string, Change>> = {
  "effect/Cause.dieOption": (call, file) =>
    `${file.module("effect/Result", call)}.getSuccess(${file.module("effect/Cause", call)}.findDefect(${
      file.list(call.arguments)
    }))`,
  "effect/Cause.isEmpty": (call, file) => `${file.list(call.arguments)}.reasons.length === 0`,
  // The types come before the name.
  "effect/Context.Tag()": (call, file) =>
    ts.isCallExpression(call.expression)
      ? `${file.module("effect/Context", call)}.Service${typeArguments(call, file)}()(${
        file.list(call.expression.arguments)
      })`
      : undefined,
  "effect/Deferred.unsafeMake": withoutArguments,
  "effect/Effect.dieMessage": (call, file) =>
    `${file.module("effect/Effect", call)}.die(new Error(${file.list(call.arguments)}))`,
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
      (_, written) => {
        const arrow = "() => "
        return written.startsWith(arrow)
          ? `() => ${file.module("effect/Effect", call)}.fail(${written.slice(arrow.length)})`
          : `() => ${file.module("effect/Effect", call)}.fail(${written}())`
      }
    )(call, file),
  "effect/Either.match": renamedKeys({ onLeft: "onFailure", onRight: "onSuccess" }, undefined),
  "effect/FiberRef.get": (call, file) => file.list(call.arguments),
  "effect/FiberRef.unsafeMake": (call, file) =>
    `${file.module("effect/Context", call)}.Reference${typeArguments(call, file)}("dblive/${
      nameOfValue(call)
    }", { defaultValue: () => ${initial(call, file)} })`,
  "effect/Fiber#RuntimeFiber.id": (call, file) => file.write(call.expression),
  "effect/Fiber#RuntimeFiber.unsafeInterruptAsFork": withoutArguments,
  "effect/Schema.Literal": listed("Literals"),
  "effect/Schema.Union": listed()
}
