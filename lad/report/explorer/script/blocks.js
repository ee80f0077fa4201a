// The data that the page carries: blocks of JSON and arrays, deflated and in base64 (lad/report/explorer/packed.py).

const unpacked = new Map();

/** The content of a block and its arrays, by name. It is unpacked when it is first asked for. */
export function unpack(name) {
  if (!unpacked.has(name)) unpacked.set(name, inflated(document.getElementById(`block-${name}`).textContent));
  return unpacked.get(name);
}

async function inflated(text) {
  const deflated = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  const end = 4 + new DataView(bytes).getUint32(0, true);
  const content = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, end - 4)));
  let start = end;
  for (const [key, [itemSize, length]] of Object.entries(content.arrays)) {
    const part = bytes.slice(start, start + itemSize * length);
    content.arrays[key] = itemSize === 2 ? new Uint16Array(part) : new Uint8Array(part);
    start += itemSize * length;
  }
  return content;
}
