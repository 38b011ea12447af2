// The net: plain loops over feature maps { height, width, channels, values }, channels last. Sums are in
// float64, which JavaScript computes in anyway: it costs no conversions.
const steps = JSON.parse(document.getElementById("net").textContent).map(decoded);

function decoded(step) {
  if (!step.weights) return step;
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer;
  const whole = new Int8Array(bytes(step.weights));
  const scale = new Float32Array(bytes(step.scale));
  const weights = Float64Array.from(whole, (value, at) => value * scale[at % scale.length]);
  return { ...step, weights, bias: new Float32Array(bytes(step.bias)) };
}

// Keras's "same" pads by half of what is missing; of an odd number, the smaller half comes first.
function placed(length, size, stride, padding) {
  if (padding === "valid") return [Math.floor((length - size) / stride) + 1, 0];
  const count = Math.ceil(length / stride);
  return [count, Math.max((count - 1) * stride + size - length, 0) >> 1];
}

function convolution(input, { shape, strides, padding, weights, bias }) {
  const [rows, columns, channels, filters] = shape;
  const [height, top] = placed(input.height, rows, strides[0], padding);
  const [width, left] = placed(input.width, columns, strides[1], padding);
  const values = new Float64Array(height * width * filters);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sums = values.subarray((y * width + x) * filters, (y * width + x + 1) * filters);
      sums.set(bias);
      for (let row = 0; row < rows; row++) {
        const fromY = y * strides[0] + row - top;
        if (fromY < 0 || fromY >= input.height) continue;
        for (let column = 0; column < columns; column++) {
          const fromX = x * strides[1] + column - left;
          if (fromX < 0 || fromX >= input.width) continue;
          const from = (fromY * input.width + fromX) * channels;
          addProducts(sums, input.values, from, channels, weights, (row * columns + column) * channels);
        }
      }
    }
  }
  return { height, width, channels: filters, values };
}

// Adds inputs times their lines of weights to the sums. After ReLU, half of the inputs are 0; the
// others are taken four at a time, which together makes it twice as fast.
const [factors, starts] = [new Float64Array(4096), new Int32Array(4096)];

function addProducts(sums, inputs, from, count, weights, line) {
  const filters = sums.length;
  let found = 0;
  for (let i = 0; i < count; i++) {
    if (inputs[from + i] === 0) continue;
    factors[found] = inputs[from + i];
    starts[found++] = (line + i) * filters;
  }
  factors.fill(0, found, found + 3);
  starts.fill(0, found, found + 3); // those of a larger layer lie behind the weights: 0 times nothing
  for (let i = 0; i < found; i += 4) {
    const [one, two, three, four] = [factors[i], factors[i + 1], factors[i + 2], factors[i + 3]];
    const [first, second, third, fourth] = [starts[i], starts[i + 1], starts[i + 2], starts[i + 3]];
    for (let filter = 0; filter < filters; filter++) {
      sums[filter] += one * weights[first + filter] + two * weights[second + filter] +
        three * weights[third + filter] + four * weights[fourth + filter];
    }
  }
}

function dense({ values: inputs }, { weights, bias }) {
  const values = Float64Array.from(bias);
  addProducts(values, inputs, 0, inputs.length, weights, 0);
  return { height: 1, width: 1, channels: values.length, values };
}

function pooling(input, { size: [rows, columns] }) {
  const height = Math.floor(input.height / rows);
  const width = Math.floor(input.width / columns);
  const values = new Float64Array(height * width * input.channels).fill(-Infinity);
  for (let y = 0; y < height * rows; y++) {
    for (let x = 0; x < width * columns; x++) {
      const from = (y * input.width + x) * input.channels;
      const to = (Math.floor(y / rows) * width + Math.floor(x / columns)) * input.channels;
      for (let i = 0; i < input.channels; i++) values[to + i] = Math.max(values[to + i], input.values[from + i]);
    }
  }
  return { height, width, channels: input.channels, values };
}

const each = (input, change) => ({ ...input, values: input.values.map(change) });

function softmax(input) {
  const largest = Math.max(...input.values);
  const powers = each(input, (value) => Math.exp(value - largest));
  const sum = powers.values.reduce((one, other) => one + other);
  return each(powers, (value) => value / sum);
}

const KINDS = {
  convolution, dense, pooling, softmax,
  rescaling: (input, { scale, offset }) => each(input, (value) => value * scale + offset),
  relu: (input) => each(input, (value) => Math.max(value, 0)),
};

// Ten probabilities of 784 pixels from 0 to 255, bright ink on black.
function predict(pixels) {
  const image = { height: 28, width: 28, channels: 1, values: Float64Array.from(pixels) };
  return steps.reduce((input, step) => KINDS[step.kind](input, step), image).values;
}
