"""The pre-ranked sample: five training prompts and three test prompts, four answers each, best first.

Rank 1 is really good, 2 decent, 3 weak (vague, rambling or off the point), 4 useless. Length does not
give the order away: among ranks 1 to 3 the longest answer is a rank-3 one as often as a rank-1 one.
"""

TRAINING_SAMPLE = {
    "Tell me a funny joke about programming": [
        "Why do programmers prefer dark mode? Because light attracts bugs!",
        "A programmer walks into a bar, orders 1.0000001 beers, and blames floating point.",
        "There was this programmer, and, well, you had to be there.",
        "Code code code.",
    ],
    "Write a short summary of the benefits of renewable energy": [
        "Renewable sources such as wind and solar cut greenhouse gas emissions and air pollution, never run out, lower"
        " fuel bills over time, create local jobs, and make a country less dependent on imported oil and gas.",
        "Renewable energy is cleaner than coal or oil. It reduces pollution and helps to slow climate change.",
        "There are many kinds of energy, and renewable energy is one of them. It has various benefits that people often"
        " talk about.",
        "Energy is renewable.",
    ],
    "Write an essay on why reading matters": [
        "Reading lets us live more than one life. A novel puts us inside another mind and so teaches empathy; a history"
        " book shows how others met trouble like ours; an essay trains us to follow an argument and to answer it. A"
        " child who reads gains words, and with words come clearer thoughts. No screen offers a cheaper journey.",
        "Reading matters because it builds vocabulary, improves concentration and gives us knowledge. It also relaxes"
        " us after a long day, which makes it a healthy habit.",
        "Reading is a thing that a lot of people do, and some people say it matters, and maybe it does, it depends. I"
        " mean, there are books and magazines and also signs on the road, and you kind of have to read those too."
        " Anyway, my cousin has a big shelf, with all sorts of stuff on it, which is nice I guess, though she mostly"
        " watches films. So yeah, there are many things one could say about it.",
        "Read books.",
    ],
    "Give instructions for making good coffee": [
        "Grind 18 g of fresh beans to the size of coarse sand. Heat 300 ml of water to 93 °C, wet the grounds, wait 30"
        " seconds, then pour the rest slowly in circles. Stop after three minutes and serve at once.",
        "Use freshly ground beans and hot, not boiling, water: two spoons for each cup. Let it brew for about four"
        " minutes, then press or filter it, pour it into a cup that you warmed beforehand, and add milk or sugar"
        " if that is how you like to drink it.",
        "Just put some coffee in something with water and wait a bit, whatever works for you.",
        "Coffee hot.",
    ],
    "What are the qualities of a good friend?": [
        "A good friend listens without judging, keeps your secrets, tells you the truth kindly, and shows up when"
        " things are hard.",
        "A good friend is honest, loyal and fun to spend time with.",
        "Friends are, you know, people, and everybody has some, or not, it is different for everyone. A good one is"
        " probably good in some ways and maybe not in others, so it is hard to say anything in general.",
        "Friend good.",
    ],
}

TEST_SAMPLE = {
    "Explain why the sky is blue": [
        "Sunlight holds all colours. Air molecules scatter short blue waves far more than long red ones, so blue light"
        " reaches our eyes from every part of the sky.",
        "The sky is blue because the air scatters the blue part of sunlight more than the other colours.",
        "Well, the sky is sort of blue most of the time, except when it is not, like at night or when there are"
        " clouds. It is probably something to do with the weather or the sea, and people have wondered about it a lot.",
        "Sky blue.",
    ],
    "Give advice for sleeping better": [
        "Go to bed and get up at the same time every day, keep the room dark and cool, stop drinking coffee after"
        " noon, and put screens away an hour before bed. If you lie awake for twenty minutes, get up and read until"
        " you feel sleepy.",
        "Keep a regular bedtime, avoid caffeine in the evening, and make the bedroom quiet and dark.",
        "Sleep is different for everybody, so maybe just try some things and see, or not, whatever you like.",
        "Sleep sleep sleep.",
    ],
    "Suggest a quick healthy breakfast": [
        "Stir oats into plain yogurt, add a sliced banana and a handful of walnuts: five minutes, no cooking, and"
        " enough protein and fibre to last until lunch.",
        "Have two scrambled eggs on wholegrain toast with a tomato. It takes about ten minutes, gives you protein and"
        " fibre, and keeps you full for the whole of the morning, so that you will not need a snack.",
        "You could eat something, I suppose, there are so many foods around these days.",
        "Breakfast food.",
    ],
}
