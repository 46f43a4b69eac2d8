// Clients in JavaScript against a server: `node clients.mjs URL`. Fails at the first difference.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { generateText, streamText } from "ai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

const baseURL = process.argv[2];
const messages = [{ role: "user", content: "What is 17 + 25?" }];
const answer = "The sum is 42.";

const client = new OpenAI({ baseURL, apiKey: "none" });
const names = [];
for await (const one of client.models.list()) names.push(one.id);
assert.deepEqual(names, ["qa", "vote"]);
for (const model of names) {
  const whole = await client.chat.completions.create({ model, messages, seed: 1 });
  assert.equal(whole.choices[0].message.content, answer);
  const stream = await client.chat.completions.create({
    model, messages, seed: 1, stream: true, stream_options: { include_usage: true },
  });
  let said = "", usage = null;
  for await (const one of stream) {
    assert.equal(one.id, whole.id);
    said += one.choices[0]?.delta?.content ?? "";
    usage = one.usage ?? usage;
  }
  assert.equal(said, answer);
  assert.ok(usage.total_tokens >= 0);
}
await assert.rejects(client.chat.completions.create({ model: "gpt", messages }), (error) => {
  assert.ok(error instanceof OpenAI.NotFoundError);
  assert.equal(error.code, "model_not_found");
  return true;
});
await assert.rejects(client.chat.completions.create({ model: "qa", messages, n: 2 }), (error) => {
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.equal(error.param, "n");
  return true;
});
console.log("openai: models, whole, streamed, errors");

const provider = createOpenAICompatible({ name: "chainlang", baseURL, includeUsage: true });
for (const model of names) {
  const whole = await generateText({ model: provider(model), prompt: messages[0].content });
  assert.equal(whole.text, answer);
  const stream = streamText({ model: provider(model), prompt: messages[0].content });
  let said = "";
  for await (const piece of stream.textStream) said += piece;
  assert.equal(said, answer);
  assert.equal(await stream.finishReason, "stop");
  assert.ok(Number.isInteger((await stream.usage).totalTokens));
}
await assert.rejects(generateText({ model: provider("gpt"), prompt: "x", maxRetries: 0 }), /no model/);
console.log("ai: whole, streamed, errors");
