#!/usr/bin/env node
/**
 * The `dblive` command. What it is built of is loaded here, so that a program that only uses the library needs none of
 * it.
 *
 * @since 0.1.0
 */
const packages = ["@effect/cli", "@effect/platform-node", "@effect/printer", "@effect/printer-ansi"]

try {
  const { main } = await import("./app.js")
  main(process.argv)
} catch (error) {
  const missing = error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"
  const name = packages.find((name) => missing && error.message.includes(`'${name}`))
  if (name === undefined) {
    throw error
  }
  process.stderr.write(`the dblive command needs ${name}: npm install ${packages.join(" ")}\n`)
  process.exitCode = 1
}

export {}
