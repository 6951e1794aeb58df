#!/usr/bin/env node
/**
 * The `dblive` command. What it is built of is loaded here, so that a program that only uses the library needs none of
 * it.
 */
import { command } from "../driver/effectPackages.js"

try {
  const { main } = await import("./app.js")
  main(process.argv)
} catch (error) {
  const isMissing = error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"
  const name = command.map((spec) => spec.replace(/(.)@.*$/, "$1")).find((name) =>
    isMissing && error.message.includes(`'${name}`)
  )
  if (name === undefined) {
    throw error
  }
  process.stderr.write(`the dblive command needs ${name}: npm install ${command.join(" ")}\n`)
  process.exitCode = 1
}
